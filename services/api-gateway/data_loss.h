/* What ends when an update replaces a workload's VM: said by a plan, and to be confirmed in an
 * update. */
#pragma once

#include "services/api-gateway/deployment.h"
#include "services/api-gateway/kept.h"

/* Whether the update would leave all as it is: same name, same manifest, no new secret. */
bool update_changes_nothing(const struct kept *kept, const struct deployment *deployment);

/* False for a workload that is stopped: it lost its VM then, and takes the update when it starts.
 */
bool update_loses_data(const struct kept *kept);

/* Texts for people, each of them one thing that is lost; a new array. */
json_t *data_loss_to_json(void);

/* The same as findings, and FAILED_PRECONDITION (412 DATA_LOSS_NOT_CONFIRMED). */
struct error *data_loss_refuse(struct request *request) _must_check_;
