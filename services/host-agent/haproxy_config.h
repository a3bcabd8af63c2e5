/* The configuration of haproxy: a pure function from routes to text. */
#pragma once

#include "services/host-agent/ingress.h"
#include "shared/base/buffer.h"

/* Routes that passed ingress_check(); the text is added to *ret_text. */
void haproxy_config(const struct ingress_route *routes, size_t n, struct buffer *ret_text);
