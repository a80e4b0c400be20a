"""What a vendor does with this mount as an issuer, by a library of its own. Reads a question from standard input and
prints the answer, both JSON: {"discover": issuer} finds the keys by the issuer's discovery document, and {"jwks",
"issuer", "audience", "assertions"} says of each assertion its claims, or why it is refused; {"hs256": key, "token"} says
header and claims of a token that is signed with a shared key."""

import json
import sys
import urllib.request

import jwt

ALGORITHMS = ["ES256", "RS256"]
REQUIRED = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]


def discovered(issuer):
    with urllib.request.urlopen(issuer + "/.well-known/openid-configuration", timeout=30) as answer:
        document = json.load(answer)
    keys = jwt.PyJWKClient(document["jwks_uri"]).get_signing_keys()
    return {"document": document, "keys": {key.key_id: key.algorithm_name for key in keys}}


def judged(asked, assertion):
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(asked["jwks"]).keys}
    try:
        key = keys[jwt.get_unverified_header(assertion)["kid"]]
        rules = {"issuer": asked["issuer"], "audience": asked["audience"], "options": {"require": REQUIRED}}
        return jwt.decode(assertion, key, algorithms=ALGORITHMS, **rules)
    except (jwt.PyJWTError, KeyError) as error:
        return {"refused": repr(error)}


def shared(key, token):
    try:
        return {"header": jwt.get_unverified_header(token), "claims": jwt.decode(token, key, algorithms=["HS256"])}
    except jwt.PyJWTError as error:
        return {"refused": repr(error)}


asked = json.load(sys.stdin)
if "discover" in asked:
    answer = discovered(asked["discover"])
elif "hs256" in asked:
    answer = shared(asked["hs256"], asked["token"])
else:
    answer = [judged(asked, assertion) for assertion in asked["assertions"]]
json.dump(answer, sys.stdout)
