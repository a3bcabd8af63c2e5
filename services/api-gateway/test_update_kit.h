/* Updates of workload "w-new", which has something of everything, and what the scheduler got of
 * them. */
#pragma once

#include "services/api-gateway/test_fixture.h"

#define CANARY "canary-83d2"
#define SALT   "0101010101010101010101010101010101010101010101010101010101010101"
#define UPDATE "/api/v1/workloads/update"

/* As it stands in JSON. */
extern const char hello_compose[];

/* With two environment values, a plain and a secret file, and a registry. */
void hello_create(const struct fixture *f);

/* fields: further members of the request, ",\"name\":value" each. */
struct answer hello_update(const struct fixture *f, const char *fields);

/* The same, with confirmDataLoss. */
struct answer hello_update_confirmed(const struct fixture *f, const char *fields);
bool holds(const struct buffer *buffer, const char *text);

/* The update that the scheduler got last. */
const Coffer__V1__UpdateWorkloadRequest *sent_update(const struct fixture *f, struct arena *arena);

/* "env A,B files a.txt secret key.pem registries r.test" of a manifest. */
const char *update_names(const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena);

/* "A=value key.pem r.test" of what is sealed; "" when nothing is. */
const char *update_sealed(const struct fixture *f, const Coffer__V1__UpdateWorkloadRequest *request,
                          struct arena *arena);
