/* The options of every command that changes a workload under its id. */
#pragma once

#include "cli/flags.h"
#include "cli/project_input.h"

#define CHANGE_USAGE "[--confirm-data-loss] [--dry-run] [--reason TEXT] [--if-match ETAG] [--wait]"

/* Rows of a flags table; in: struct project_input. */
#define CHANGE_FLAGS(in)                                                                           \
    {.name = "confirm-data-loss", .kind = FLAG_BOOL, .into = &(in).confirm_data_loss},             \
        {.name = "dry-run", .kind = FLAG_BOOL, .into = &(in).dry_run},                             \
        {.name = "reason", .kind = FLAG_TEXT, .into = &(in).reason},                               \
        {.name = "if-match", .kind = FLAG_TEXT, .into = &(in).if_match},                           \
        {.name = "wait", .kind = FLAG_BOOL, .into = &(in).wait},                                   \
    {                                                                                              \
        .name = "timeout", .kind = FLAG_NUMBER, .into = &(in).timeout_s, .min = 1,                 \
        .max = 7 * 24 * 3600                                                                       \
    }
