/*
 * The existing system's interface, field by field, as its description says (NILCC section 2.2,
 * without wallet login, payments and what hosts call): what its clients send, and what they find in
 * the answer. test_parity.c drives the handlers from it.
 *
 * A field is "name:type": s text, t time, n number, b boolean, a list, o object; "s0" may also be
 * null. Marks in front: "+" is ours and not theirs; "?" may be missing in both.
 *
 * Marks behind the type, in requests, before "=" and an example: "?" optional in both; "*" required
 * there and with a default here, so that what is right there is right here.
 *
 * Where ours differs:
 *   - Values, files' contents and passwords of a workload never come back: envVars, files and
 *     dockerCredentials, which may be missing there, always are here. What may be told is in
 * members of other names, which strictly typed clients do not take for the maps: envVarNames,
 * fileNames, secretFileNames, dockerRegistries.
 *   - A list of workloads has no such lists and no dockerCompose: those are read one by one.
 *   - metal-instances have no token (hosts have keys on the bus), and no gpuModel as long as no
 *     host reports one; it is optional there.
 *   - Theirs drops unknown keys. Here what both know is taken, also where it does nothing
 *     (heartbeat), and what neither knows is refused by name: a misspelt "envVar" would otherwise
 *     start a workload without its environment, and no right client of theirs sends one.
 *   - A workload, and so its events, has more states than there: waiting, degraded, stopping,
 *     deleting, deleted. An event of a failed start is "error", not "failedToStart", and a restart
 *     on request "scheduled", not "forcedRestart"; "error" and "message" are where they are there.
 *   - Names of accounts need not differ: an owner who renames one would learn of others'.
 *   - A restart's envVars are values for the names that the manifest has, which is measured; other
 *     names are an update.
 *   - Ids are texts of a-z0-9-, so one that is no UUID is unknown (404) and not wrong (400).
 *   - Paths of files are relative and plain: theirs takes "/x", "../x" and "a//b". A project's
 *     texts, files and secrets are about 1 MiB together at most, theirs' 2 MiB in base64.
 *   - Another's workload is 404 and not 401: the answer must not say that it is there.
 */
#pragma once

#include "services/api-gateway/test_scene.h"

struct parity_row {
    const char *method;
    const char *path;
    enum actor actor;
    enum actor weak;     /* has a key, and gets 401 ACCESS_DENIED; NOBODY: every key may */
    const char *request; /* fields with examples; NULL: no body */
    const char *answer;  /* fields; "[...]" a list of such objects, "" an empty object, "+" an
                          object that is empty there */
    const char *text;    /* instead: the exact body */
};

extern const struct parity_row parity_rows[];
extern const size_t parity_n_rows;

/* What goes wrong, and by which kind it is told. */
struct parity_refusal {
    const char *method;
    const char *path;
    enum actor actor;
    const char *body;
    enum error_code code; /* the scheduler's; ERROR_OK: it is not asked */
    const char *reason;   /* the scheduler's; NULL: none */
    long status;
    const char *kind;
};

extern const struct parity_refusal parity_refusals[];
extern const size_t parity_n_refusals;

#define PARITY_COMPOSE "{\\\"services\\\":{\\\"web\\\":{\\\"image\\\":\\\"a\\\"}}}"
