"""That the check sees what it is for: a good answer passes, and each way to spoil one does not."""
import json

import pytest

from load_check import OPENAPI, ROUTES, check

ID = {"X-Request-Id": "r-1"}
PROBLEM = {"ts": "2026-01-02T03:04:05.678Z", "error": "words", "kind": "NOT_FOUND", "requestId": "r-1"}

DOC = check.Document(OPENAPI)


def answer(method, path, status, body="", kind="application/json", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"method": method, "path": path, "status": status, "contentType": kind, "headers": {**ID, **named},
            "body": body if isinstance(body, str) else json.dumps(body)}


GOOD = [
    answer("GET", "/api/v1/workloads/w-1/env", 200, {"names": ["A"]}),
    answer("GET", "/api/v1/workloads/w%2D1/env?x=y", 200, {"names": []}, RateLimit_Limit="9"),
    answer("HEAD", "/api/v1/workloads/w-1/env", 404),
    answer("GET", "/api/v1/workloads/w-1/env", 404, PROBLEM),
    answer("GET", "/api/v1/workloads/w-1", 304, ETag='"1-2-00ff00ff"'),
    answer("PUT", "/nothing", 404, PROBLEM),
    answer("PUT", "/health", 405, {**PROBLEM, "kind": "METHOD_NOT_ALLOWED"}, Allow="GET, HEAD, OPTIONS"),
    answer("GET", "/api/v1/events", 503, {**PROBLEM, "kind": "UNAVAILABLE"}, Retry_After="1"),
    answer("GET", "/api/v1/events", 200, "retry: 1000\n\nevent: gap\ndata: {\"from\":1,\"to\":2}\n\n: half",
           "text/event-stream"),
    answer("GET", "/api/v1/events", 200, "retry: 1\n\nevent: until\ndata: {\"sequence\":0}\n\nevent: end\ndata: {}\n\n",
           "text/event-stream"),
]

BAD = [
    (answer("GET", "/api/v1/workloads/w-1/env", 418, PROBLEM), "status 418"),
    (answer("GET", "/api/v1/workloads/w-1/env", 200, {"names": [1]}), "names/0"),
    (answer("GET", "/api/v1/workloads/w-1/env", 200, {"names": [], "more": 1}), "more"),
    (answer("GET", "/api/v1/workloads/w-1/env", 200, "{"), "Expecting"),
    (answer("GET", "/api/v1/workloads/w-1/env", 200, {"names": []}, "text/plain"), "content type"),
    (answer("GET", "/api/v1/workloads/w-1/env", 404, {**PROBLEM, "kind": "GONE"}), "GONE"),
    (answer("GET", "/api/v1/workloads/w-1/env", 404, {**PROBLEM, "password": "x"}), "password"),
    (answer("GET", "/api/v1/workloads/w-1", 304, "{}", ETag='"1-2-00ff00ff"'), "a body"),
    (answer("GET", "/api/v1/workloads/w-1", 304), "ETag is missing"),
    (answer("GET", "/api/v1/workloads/w-1", 304, ETag="none"), "ETag"),
    (answer("GET", "/api/v1/workloads/w-1/env", 200, {"names": []}, RateLimit_Limit="many"), "many"),
    (answer("GET", "/api/v1/workloads/w-1/env", 200, {"names": []}, Location="/x"), "Location is not documented"),
    (answer("GET", "/api/v1/events", 503, {**PROBLEM, "kind": "UNAVAILABLE"}), "Retry-After is missing"),
    (answer("PUT", "/health", 405, {**PROBLEM, "kind": "METHOD_NOT_ALLOWED"}), "Allow is missing"),
    (answer("PUT", "/nothing", 404, {"error": "words"}), "required"),
    (answer("GET", "/api/v1/events", 200, ": hello\n\n", "text/event-stream"), "come back"),
    (answer("GET", "/api/v1/events", 200, "retry: 1\n\nevent: gap\ndata: {}\n\n", "text/event-stream"), "required"),
    (answer("GET", "/api/v1/events", 200, "retry: 1\n\nevent: until\ndata: {}\n\n", "text/event-stream"), "required"),
    ({**answer("GET", "/health", 200, "OK", "text/plain"), "headers": {}}, "X-Request-Id is missing"),
]


def test_what_a_request_takes_beside_is_said():
    doc = check.Document(OPENAPI)
    check.check_document(doc)
    del doc.json["components"]["schemas"]["SecretFile"]["additionalProperties"]
    with pytest.raises(ValueError, match="secretFiles: .*: additionalProperties is not said"):
        check.check_document(doc)


@pytest.mark.parametrize("good", GOOD)
def test_good_answers_pass(good):
    check.check_answer(DOC, good, {})


@pytest.mark.parametrize("bad,words", BAD)
def test_bad_answers_are_found(bad, words):
    with pytest.raises(ValueError, match=words):
        check.check_answer(DOC, bad, {})


def test_the_document_and_the_routes_are_one():
    check.check_document(DOC)
    assert list(check.check_routes(DOC, ROUTES)) == []


SPOILERS = [
    (lambda paths: paths.pop("/health"), "get /health is not in the document"),
    (lambda paths: paths.update({"/more": paths["/health"]}), "get /more is no route"),
    (lambda paths: paths["/api/v1/events"]["get"].update(security=[]), "another security"),
    (lambda paths: paths["/api/v1/workloads/stop"]["post"].update(parameters=[]), "Idempotency-Key"),
]


@pytest.mark.parametrize("spoil,words", SPOILERS)
def test_another_document_is_found(spoil, words):
    doc = check.Document(OPENAPI)
    spoil(doc.json["paths"])
    doc.operations = [(m, t, o) for t, item in doc.json["paths"].items() for m, o in item.items()]
    assert words in "\n".join(check.check_routes(doc, ROUTES))


def test_a_failure_that_nobody_saw_is_missed():
    seen = {}
    check.check_answer(DOC, answer("GET", "/api/v1/workloads/w-1/env", 404, PROBLEM), seen)
    missing = "\n".join(check.missing_failures(DOC, seen))
    assert "getEnvNames 404" not in missing
    assert "getManifest 404: no test saw NOT_FOUND" in missing
