/* The one table of routes: method, path, scope, function. */
#pragma once

#include "services/api-gateway/http.h"

extern const struct route gateway_routes[]; /* ends with path NULL */
extern const struct route metrics_routes[]; /* of the second port */

/* Sets request->route and ->parameter. NOT_FOUND, or 405 when only the method is wrong: the
 * response's Allow says which there are. OPTIONS gets it, and 204, without a route. */
struct error *routes_find(const struct route *routes, const char *method, const char *path,
                          struct request *request) _must_check_;
