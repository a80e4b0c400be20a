"""moto's IAM and STS on a free port of 127.0.0.1, stricter and with more: every signature and permission is checked;
every request is held against botocore's own model of the API; service-specific credentials and paging, which moto lacks,
are added, and their answers are written by botocore's model too.

Prints a line of JSON with the port and an access key that may do everything, then serves until its standard input ends.
POST /orders takes a list of {"action", "code", "message", "status", "times"}: errors to answer with instead; POST /page the
most entries of a page. GET /seen gives the forms of all requests, GET /log what the model had against them. Nothing of AWS is asked."""

import datetime
import io
import json
import os
import re
import sys
import threading
from urllib.parse import parse_qsl

os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

import botocore.session
from botocore.validate import ParamValidator
from moto import settings
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.exceptions import IAMException, NoSuchEntity
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

ACCOUNT = "123456789012"
BEDROCK = "bedrock.amazonaws.com"

models = {name: botocore.session.get_session().get_service_model(name) for name in ("iam", "sts")}
credentials = []
orders = []
page_size = [1000]
seen = []
log = []


class LimitExceeded(IAMException):
    code = "LimitExceeded"


def metadata(credential):
    hidden = ("ServiceCredentialSecret",)
    return {name: value for name, value in credential.items() if name not in hidden}


def page(self, name, things):
    """A page of a list: its marker is the index of the next entry."""
    start = int(self._get_param("Marker") or 0)
    end = start + min(page_size[0], int(self._get_param("MaxItems") or 100))
    result = {name: things[start:end], "IsTruncated": end < len(things)}
    if end < len(things):
        result["Marker"] = str(end)
    return ActionResult(result)


def create_service_specific_credential(self):
    user, service = self._get_param("UserName"), self._get_param("ServiceName")
    self.backend.get_user(user)
    of_user = [one for one in credentials if one["UserName"] == user and one["ServiceName"] == service]
    if len(of_user) >= 2:
        raise LimitExceeded("Cannot exceed quota for ServiceSpecificCredentialsPerUser: 2")
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    number = len(seen)
    credential = {
        "CreateDate": now,
        "ServiceName": service,
        "ServiceCredentialAlias": f"{user}-at-{ACCOUNT}",
        "ServiceCredentialSecret": f"ABSK{number:032d}+/==",
        "ServiceSpecificCredentialId": f"ACCA{number:017d}",
        "UserName": user,
        "Status": "Active",
    }
    days = self._get_param("CredentialAgeDays")
    if days:
        credential["ExpirationDate"] = now + datetime.timedelta(days=int(days))
    credentials.append(credential)
    return ActionResult({"ServiceSpecificCredential": credential})


def delete_service_specific_credential(self):
    user, wanted = self._get_param("UserName"), self._get_param("ServiceSpecificCredentialId")
    for one in credentials:
        if one["UserName"] == user and one["ServiceSpecificCredentialId"] == wanted:
            credentials.remove(one)
            return EmptyResult()
    raise NoSuchEntity(f"Service Specific Credential {wanted} does not exist.")


def list_service_specific_credentials(self):
    user, service = self._get_param("UserName"), self._get_param("ServiceName")
    if user:
        self.backend.get_user(user)
    elif str(self._get_param("AllUsers")).lower() != "true":
        # Those of whoever asks, who has none.
        user = ""
    fitting = [one for one in credentials if user in (None, one["UserName"]) and service in (None, one["ServiceName"])]
    return page(self, "ServiceSpecificCredentials", [metadata(one) for one in fitting])


def list_users(self):
    return page(self, "Users", list(self.backend.list_users(self._get_param("PathPrefix"), None, None)))


def delete_user(self):
    user = self._get_param("UserName")
    held = self.backend.get_user(user)
    if held.access_keys or any(one["UserName"] == user for one in credentials):
        error = IAMException("Cannot delete entity, must remove referenced objects first.")
        error.code = "DeleteConflict"
        raise error
    self.backend.delete_user(user)
    return EmptyResult()


for added in (
    create_service_specific_credential,
    delete_service_specific_credential,
    list_service_specific_credentials,
    list_users,
    delete_user,
):
    setattr(IamResponse, added.__name__, added)


def tree(form):
    """The form's names are paths: `Tags.member.1.Key`."""
    root = {}
    for name, value in form.items():
        node = root
        *path, last = name.replace(".member.", ".").split(".")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return root


def typed(shape, value, problems):
    """What botocore would have been given for the form."""
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        if unknown:
            problems.append(f"{shape.name} has no {sorted(unknown)}")
        return {name: typed(shape.members[name], part, problems) for name, part in value.items() if name not in unknown}
    if shape.type_name == "list":
        return [typed(shape.member, value[index], problems) for index in sorted(value, key=int)]
    limits = shape.metadata
    if shape.type_name == "integer":
        if not limits.get("min", int(value)) <= int(value) <= limits.get("max", int(value)):
            problems.append(f"{shape.name}: {value} is out of its limits")
        return int(value)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[value]
    if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
        problems.append(f"{shape.name}: {value!r} has {len(value)} characters")
    # The model writes \\u002F, which is Python's too.
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        problems.append(f"{shape.name}: {value!r} does not match {limits['pattern']}")
    return value


def check(request, form):
    """What the model has against a request."""
    action, version = form.pop("Action", ""), form.pop("Version", "")
    fitting = [model for model in models.values() if model.api_version == version]
    if not fitting or action not in fitting[0].operation_names:
        return [f"no API {version} with {action}"]
    problems = []
    if request.content_type != "application/x-www-form-urlencoded; charset=utf-8" or request.args:
        problems.append(f"no form: {request.content_type} {request.query_string}")
    shape = fitting[0].operation_model(action).input_shape
    if shape is None:
        return problems + [f"{action} takes nothing"] * bool(form)
    given = typed(shape, tree(form), problems)
    report = ParamValidator().validate(given, shape)
    if report.has_errors():
        problems.append(report.generate_report())
    return problems


def error(status, code, message):
    body = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">{body}</ErrorResponse>'
    return Response(body, status=status, content_type="text/xml")


class Checked:
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, environ, start_response):
        request = Request(environ)
        body = request.get_data()
        answer = None
        if request.path == "/orders":
            orders[:] = json.loads(body)
            answer = Response("{}")
        elif request.path == "/page":
            page_size[:] = [json.loads(body)]
            answer = Response("{}")
        elif request.path in ("/seen", "/log"):
            answer = Response(json.dumps(seen if request.path == "/seen" else log))
        else:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
            seen.append(dict(form))
            action = form["Action"]
            problems = check(request, form)
            log.extend(problems)
            order = next((order for order in orders if order["action"] in (action, "*") and order["times"]), None)
            if problems:
                answer = error(400, "ValidationError", "; ".join(problems))
            elif order:
                order["times"] -= 1
                answer = error(order["status"], order["code"], order["message"])
        if answer is not None:
            return answer(environ, start_response)
        # moto reads it again.
        environ["wsgi.input"] = io.BytesIO(body)
        return self.inner(environ, start_response)


backend = iam_backends[ACCOUNT]["aws"]
backend.create_user("us-east-1", user_name="admin", path="/", tags=[])
anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
backend.put_user_policy("admin", "everything", json.dumps(anything))
backend.create_user("us-east-1", user_name="nobody", path="/", tags=[])
for policy in ("limited", "boundary"):
    backend.create_policy(None, "/", json.dumps(anything), policy, [])
keys = {name: backend.create_access_key(user_name=name) for name in ("admin", "nobody")}
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

server = make_server("127.0.0.1", 0, Checked(DomainDispatcherApplication(create_backend_app)), threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
given = {name: [key.access_key_id, key.secret_access_key] for name, key in keys.items()}
print(json.dumps({"port": server.server_port, "account": ACCOUNT, **given}), flush=True)
sys.stdin.read()
