/* Entity tags (RFC 9110 sections 8.8.3 and 13.1). Tags here hold their quotes; ours have no comma
 * in them and are strong. */
#pragma once

#include "services/api-gateway/http.h"

enum { ETAG_SIZE = 80 };

/* Whether the header's list, or "*", names the tag. A weak one counts only where weak is set. */
bool etag_is_in(const char *header, const char *tag, bool weak);

/* "<version>" of a record. */
void etag_of_version(uint64_t version, char ret_tag[ETAG_SIZE]);

/* The beginning of the SHA-256 as 8 hex digits. */
void etag_digest(const void *data, size_t size, char ret_hex[9]);

/* Sets the header ETag. True: the caller has it (If-None-Match), and the response is a complete
 * 304. */
bool etag_answer(struct request *request, struct response *response, const char *tag);

/* The same with a tag made of the body, which a 304 empties. */
void etag_answer_body(struct request *request, struct response *response);

/* If-Match of a change of the gateway's own records: 412 unless it names this version. */
struct error *etag_check_version(struct request *request, uint64_t version) _must_check_;
