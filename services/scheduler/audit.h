/*
 * Entries of the audit trail that the asker of a change hands over (AuditEntry): in the commit of
 * the change, so that there is one exactly when there is the other, whatever becomes of the asker.
 * What changed nothing leaves none.
 */
#pragma once

#include "services/scheduler/records.h"

/* INVALID_ARGUMENT unless it is a JSON object of at most AUDIT_ENTRY_MAX bytes, with names as ids.
 * NULL, no entry, is fine. Before anything else is judged. */
struct error *audit_check(const Coffer__V1__AuditEntry *audit) _must_check_;

/* One that was checked; NULL adds nothing. */
void change_audit(struct change *change, const Coffer__V1__AuditEntry *audit);
