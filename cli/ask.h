/* Questions to the person at the terminal. */
#pragma once

#include <stdbool.h>

#include "shared/base/error.h"

/* Prints the warning and asks; true for "y" or "yes". Without a terminal the answer is no. */
bool ask_yes(const char *warning);

/* A line from the terminal, not shown while it is typed. FAILED_PRECONDITION: there is no
 * terminal. Caller wipes and frees. */
struct error *ask_secret(const char *question, char **ret_secret) _must_check_;

/* The first line of stdin. Caller wipes and frees. */
struct error *ask_secret_from_stdin(char **ret_secret) _must_check_;
