/* The command with which anybody else proves what runs behind a workload's name. */
#pragma once

#include "cli/client.h"

/*
 * Complete and ready to be pasted: the domain, the manifest's hash, the image's reference values
 * (which anybody may fetch), and the key that signed them. What the gateway says is used only in
 * its strict form, as it becomes part of a shell command. Caller frees; NULL when domain or hash
 * are not what they should be. The release key is asked of the gateway: an owner compares it with
 * the one that the operator published.
 */
char *verify_hint(struct client *client, const json_t *workload);
