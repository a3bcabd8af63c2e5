/* Reading the scheduler's records. What is stored is ours, so damage is INTERNAL. */
#pragma once

#include "services/api-gateway/gateway.h"

/* *ret_message NULL: no such record. Lives in the request's arena. */
struct error *record_load(struct request *request, const char *family, const char *id,
                          const ProtobufCMessageDescriptor *type, void **ret_message) _must_check_;

/* All that exist, of the ids of a set, in the order of the ids. More than max: RESOURCE_EXHAUSTED.
 * Lives in the request's arena. */
struct error *records_load_all(struct request *request, const char *set, const char *family,
                               const ProtobufCMessageDescriptor *type, size_t max,
                               void ***ret_messages, size_t *ret_n) _must_check_;
