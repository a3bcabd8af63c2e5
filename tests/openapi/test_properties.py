"""Properties of the whole API, from its own description: openapi.json says what may be sent and what
may come back; Hypothesis makes the requests, good ones and spoilt ones, for every operation.

For each answer: its status is documented for the operation, its headers and its body are what that
status promises, and nothing is a fault of ours. Of a stream the beginning counts. Runs against
services/api-gateway/test_server.c (COFFER_TEST_SERVER: the program). COFFER_PROPERTY_EXAMPLES: how many
of each kind, 25.
"""
import functools
import http.client
import json
import os
import string
import subprocess
import urllib.parse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from load_check import OPENAPI, check

KEYS = {"bearer": ("Authorization", "Bearer test-key-0123456789abcdef"),
        "adminKey": ("x-api-key", "admin-key-0123456789abcdef")}
IDS = ["w-1", "w-2", "w-made", "w-foreign", "dev", "host-1", "nobody-knows"]

DOC = check.Document(OPENAPI)
OPERATIONS = DOC.operations
EXAMPLES = int(os.environ.get("COFFER_PROPERTY_EXAMPLES", "25"))
PROFILE = settings(max_examples=EXAMPLES, deadline=None, derandomize="COFFER_PROPERTY_EXAMPLES" not in os.environ,
                   database=None, suppress_health_check=list(HealthCheck))


# ---- values of a schema ----

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2**70, 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6)


def texts(schema):
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(
            lambda t: "\n" not in t and len(t) <= schema.get("maxLength", 2**31))
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"))
    if schema.get("contentEncoding") == "base64":
        return st.sampled_from(["", "AA==", "aGVsbG8=", "====", "a"])
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", 40), 40)
    known = st.sampled_from([i for i in IDS if least <= len(i) <= schema.get("maxLength", 64)])
    return known | st.text(min_size=least, max_size=most) | st.text(string.printable, min_size=least, max_size=most)


def numbers(schema, whole):
    low = schema.get("minimum", schema.get("exclusiveMinimum", -10**6))
    high = schema.get("maximum", 10**9)
    if whole:
        return st.integers(low, high)
    return st.integers(int(low) + 1, 10**4) | st.floats(low, 10**4, exclude_min="exclusiveMinimum" in schema)


def objects(schema):
    required = set(schema.get("required", []))
    named = {n: values(s) for n, s in schema.get("properties", {}).items() if n != "wait"}  # a minute each
    base = st.fixed_dictionaries({n: v for n, v in named.items() if n in required},
                                 optional={n: v for n, v in named.items() if n not in required})
    more = schema.get("additionalProperties")
    if not isinstance(more, dict):
        return base
    names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
    return st.tuples(base, st.dictionaries(names, values(more), max_size=3)).map(lambda p: {**p[1], **p[0]})


def values(schema):
    return values_of(json.dumps(DOC.resolve(schema), sort_keys=True))


@functools.cache  # to make a strategy costs more than to draw from it
def values_of(text):
    schema = json.loads(text)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([values(s) for s in schema["anyOf"]])
    kind = schema.get("type")
    if isinstance(kind, list):
        return st.one_of([values({**schema, "type": k}) for k in kind])
    if kind == "string":
        return texts(schema)
    if kind in ("integer", "number"):
        return numbers(schema, kind == "integer")
    if kind == "boolean":
        return st.booleans()
    if kind == "null":
        return st.none()
    if kind == "array":
        return st.lists(values(schema.get("items", {})), max_size=4)
    if kind == "object":
        return objects(schema)
    return ANYTHING


# ---- requests ----

def body_schema(operation):
    body = operation.get("requestBody")
    return body and body["content"]["application/json"]["schema"]


def parameters(operation, place):
    return [p for p in map(DOC.resolve, operation.get("parameters", [])) if p["in"] == place]


def header_text(value):
    return "".join(c for c in str(value) if 0x20 <= ord(c) < 0x7F)


@st.composite
def good_requests(draw, template, operation):
    path = template
    for p in parameters(operation, "path"):
        value = draw(st.sampled_from(IDS) | values(p["schema"]))
        path = path.replace("{%s}" % p["name"], urllib.parse.quote(value or "x", safe=""))
    query = {p["name"]: str(draw(values(p["schema"]))) for p in parameters(operation, "query")
             if p["name"] != "wait" and draw(st.booleans())}
    headers = {p["name"]: header_text(draw(values(p["schema"]))) for p in parameters(operation, "header")
               if draw(st.booleans())}
    schema = body_schema(operation)
    body = json.dumps(draw(values(schema))) if schema else None
    return path + ("?" + urllib.parse.urlencode(query) if query else ""), headers, body


SPOILERS = [
    lambda draw, body: "",
    lambda draw, body: body[: len(body) // 2],
    lambda draw, body: "[" * 3000 + body,
    lambda draw, body: json.dumps(draw(ANYTHING)),
    lambda draw, body: body.replace(":", ": \x00", 1),
    lambda draw, body: body.replace('"', '"\udcff', 1),
    lambda draw, body: body[:1] + '"twice":1,"twice":2,' + body[1:],
    lambda draw, body: json.dumps({**json.loads(body), draw(st.text(max_size=8)): draw(ANYTHING)}),
    lambda draw, body: json.dumps({k: draw(ANYTHING) for k in json.loads(body)}),
]


@st.composite
def spoilt_requests(draw, template, operation):
    path, headers, body = draw(good_requests(template, operation))
    if body is not None and body.startswith("{"):
        body = draw(st.sampled_from(SPOILERS))(draw, body)
    else:
        junk = draw(st.text(min_size=1, max_size=12))
        path += ("&" if "?" in path else "?") + urllib.parse.urlencode({junk: junk})
    return path, headers, body


# ---- the gateway ----

WORKLOAD = {"workloadId": "w-made", "name": "made", "dockerCompose": "services: {web: {image: a}}",
            "artifactsVersion": "0.1.0", "publicContainerName": "web", "publicContainerPort": 80,
            "memory": 1024, "cpus": 1, "disk": 5, "envVars": {"A": "b"}, "files": {"f": "aGk="}}


class Gateway:
    def __init__(self):
        self.process = subprocess.Popen([os.environ["COFFER_TEST_SERVER"]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.connection = None
        made, text = self.send("POST", "/api/v1/workloads/create", dict([KEYS["bearer"]]), json.dumps(WORKLOAD))
        assert made.status == 200, text

    def read(self, answer):
        if answer.getheader("Content-Type") != "text/event-stream":
            return answer.read()
        begun = answer.readline() + answer.readline()
        self.connection.close()
        self.connection = None
        return begun

    def send(self, method, path, headers, body):
        data = None if body is None else body.encode("utf-8", "surrogateescape")
        for last in (False, True):
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                self.connection.request(method, path, data, headers)
                answer = self.connection.getresponse()
                return answer, self.read(answer)
            except (http.client.HTTPException, OSError):
                self.connection = None
                if last:  # the first may have met a kept connection that was closed
                    raise
        raise AssertionError

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(60)


@pytest.fixture(scope="module")
def gateway():
    gateway = Gateway()
    yield gateway
    assert gateway.stop() == 0, "the gateway did not end well: see its output"


def credentials(operation):
    for row in operation.get("security", []):
        for name in row:
            return dict([KEYS[name]])
    return {}


def ask(gateway, method, template, operation, request):
    path, headers, body = request
    answer, text = gateway.send(method.upper(), path, {**headers, **credentials(operation)}, body)
    headers = {name: answer.getheader(name) for name in check.TOLD if answer.getheader(name) is not None}
    if urllib.parse.urlsplit(path).path.count("/") == template.count("/"):
        check.check_answer(DOC, {"method": method, "path": path, "status": answer.status,
                                 "contentType": answer.getheader("Content-Type") or "",
                                 "headers": headers, "body": text.decode("utf-8")}, {})
    assert answer.status != 500, f"a fault of ours: {text!r}"
    assert answer.status != 429 or "stream" in operation["operationId"], "the test server has no limits"


def name_of(operation):
    return operation[2]["operationId"]


@pytest.mark.parametrize("method,template,operation", OPERATIONS, ids=map(name_of, OPERATIONS))
def test_good_requests(gateway, method, template, operation):
    @PROFILE
    @given(request=good_requests(template, operation))
    def run(request):
        ask(gateway, method, template, operation, request)

    run()


@pytest.mark.parametrize("method,template,operation", OPERATIONS, ids=map(name_of, OPERATIONS))
def test_spoilt_requests(gateway, method, template, operation):
    @PROFILE
    @given(request=spoilt_requests(template, operation))
    def run(request):
        ask(gateway, method, template, operation, request)

    run()


LOCKED = [o for o in OPERATIONS if o[2].get("security")]


@pytest.mark.parametrize("method,template,operation", LOCKED, ids=map(name_of, LOCKED))
def test_without_a_key(gateway, method, template, operation):
    @settings(PROFILE, max_examples=max(1, EXAMPLES // 5))  # refused before it is looked at
    @given(request=good_requests(template, operation))
    def run(request):
        path, headers, body = request
        answer, text = gateway.send(method.upper(), path, headers, body)
        assert answer.status == 401, text

    run()
