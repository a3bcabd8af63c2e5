/* What an update would change, as a list of {"field", "from", "to"}: null where something is not
 * there. Of secrets there are names only, as "secret" and "new secret". */
#pragma once

#include "services/api-gateway/deployment.h"
#include "services/api-gateway/kept.h"

/* after: deployment's manifest, parsed. A new array. */
json_t *plan_changes(struct request *request, const struct kept *kept,
                     const struct deployment *deployment, const struct manifest *after);
