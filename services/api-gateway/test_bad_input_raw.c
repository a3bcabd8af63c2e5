/* Bad requests that no HTTP library sends; test_http_abuse.c has those about where they end, and
 * about what libmicrohttpd 1.0 does not answer before the time for headers is over: a method
 * without end. */
#include "services/api-gateway/test_bad_input.h"

#define KEY   "Host: x\r\nAuthorization: Bearer $SECRET\r\nConnection: close\r\n"
#define LIST  "GET /api/v1/workloads/list HTTP/1.1\r\n"
#define STOP  "POST /api/v1/workloads/stop HTTP/1.1\r\n" KEY
#define CHUNK "Transfer-Encoding: chunked\r\n\r\n"

const struct bad_raw bad_raws[] = {
    {"a byte 0 in the body", STOP "Content-Length: 24\r\n\r\n{\"workloadId\":\"w-ours$NUL\"}", 400,
     "INVALID_PAYLOAD"},
    {"a byte 0 before the body", STOP "Content-Length: 3\r\n\r\n$NUL{}", 400, "INVALID_PAYLOAD"},
    {"a byte 0 after the body", STOP "Content-Length: 3\r\n\r\n{}$NUL", 400, "INVALID_PAYLOAD"},
    {"only bytes 0", STOP "Content-Length: 4\r\n\r\n$NUL$NUL$NUL$NUL", 400, "INVALID_PAYLOAD"},
    {"an empty chunked body", STOP CHUNK "0\r\n\r\n", 400, "INVALID_PAYLOAD"},
    {"a chunked body that is no JSON", STOP CHUNK "1\r\n{\r\n1\r\n{\r\n0\r\n\r\n", 400,
     "INVALID_PAYLOAD"},
    {"a body of UTF-16", STOP "Content-Length: 6\r\n\r\n\xff\xfe{$NUL}$NUL", 400,
     "INVALID_PAYLOAD"},
    {"a byte 0 in a key", LIST "Host: x\r\nAuthorization: Bearer $X20$NUL$SECRET\r\n\r\n", 401,
     NULL},
    {"a byte 0 in a header's name", LIST KEY "X-$NUL-Y: 1\r\n\r\n", 400, NULL},
    {"a byte 0 in the path", "GET /api/v1/workloads/list$NUL HTTP/1.1\r\n" KEY "\r\n", 0, NULL},
    {"a byte 0 in an idempotency key",
     STOP "Idempotency-Key: a$NULb\r\nContent-Length: 2\r\n\r\n{}", 400, NULL},
    {"a lone carriage return in a header", LIST KEY "X: a\rY: b\r\n\r\n", 0, NULL},
    {"a header over two lines", LIST "Host: x\r\nAuthorization: Bearer\r\n $X20\r\n\r\n", 400,
     NULL},
    {"a header of 9 KiB", LIST KEY "X-Long: $X9000\r\n\r\n", 431, NULL},
    {"a header's name of 9 KiB", LIST KEY "$X9000: 1\r\n\r\n", 431, NULL},
    {"a key of 9 KiB", LIST "Host: x\r\nAuthorization: Bearer $X9000\r\n\r\n", 431, NULL},
    {"a method that is none", "G@T /api/v1/workloads/list HTTP/1.1\r\n" KEY "\r\n", 405, NULL},
    {"a method in small letters", "get /api/v1/workloads/list HTTP/1.1\r\n" KEY "\r\n", 405, NULL},
    {"CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n" KEY "\r\n", 404, NULL},
    {"a whole URL", "GET http://evil.test/api/v1/workloads/list HTTP/1.1\r\n" KEY "\r\n", 404,
     NULL},
    {"a path without a slash", "GET api/v1/workloads/list HTTP/1.1\r\n" KEY "\r\n", 404, NULL},
    {"an asterisk", "GET * HTTP/1.1\r\n" KEY "\r\n", 404, NULL},
    {"spaces in the path", "GET /api/v1/workloads/a b HTTP/1.1\r\n" KEY "\r\n", 400, NULL},
    {"a fragment", "GET /api/v1/workloads/list#x HTTP/1.1\r\n" KEY "\r\n", 404, NULL},
    {"HTTP/0.9", "GET /api/v1/workloads/list\r\n", 400, NULL},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, NULL},
    {"an upgrade without a key",
     LIST "Host: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n", 401,
     "UNAUTHORIZED"},
    {"two hosts", LIST "Host: x\r\nHost: y\r\nConnection: close\r\n\r\n", 401, NULL},
    {"a body of a GET", LIST "Host: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 401,
     "UNAUTHORIZED"},
};
const size_t n_bad_raws = ELEMENTSOF(bad_raws);
