"""Reads a JSON list of [moment, access key id, secret access key, session token or null, region, seconds] from standard
input and prints the list of what AWS's own generator of short-term Bedrock keys makes of each at that moment."""

import datetime
import json
import sys

import botocore.auth
from aws_bedrock_token_generator import provide_token
from botocore.credentials import CredentialProvider, Credentials


class Given(CredentialProvider):
    def __init__(self, credentials):
        super().__init__()
        self.credentials = credentials

    def load(self):
        return self.credentials


tokens = []
for moment, access_key_id, secret_access_key, session_token, region, seconds in json.load(sys.stdin):
    now = datetime.datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")
    botocore.auth.get_current_datetime = lambda now=now: now
    given = Given(Credentials(access_key_id, secret_access_key, session_token))
    tokens.append(provide_token(region, given, datetime.timedelta(seconds=seconds)))
json.dump(tokens, sys.stdout)
