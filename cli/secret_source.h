/* Values that are secret: where they are read from, so that none is ever a process argument. */
#pragma once

#include "cli/coffer_yaml.h"

/*
 * One value. SOURCE_VALUE: the text itself; SOURCE_ENVIRONMENT: the variable that text names;
 * SOURCE_FILE: the file at text, from folder when it is relative, without white space at its end;
 * SOURCE_STDIN: one line of standard input. The result lives in the arena, which wipes it. what
 * names the value in errors, which never show it.
 */
struct error *secret_source_read(enum coffer_source source, const char *text, const char *folder,
                                 const char *what, struct arena *arena,
                                 const char **ret_value) _must_check_;

/* Asks on the terminal, without echo. FAILED_PRECONDITION: there is no terminal. */
struct error *secret_source_ask(const char *what, struct arena *arena,
                                const char **ret_value) _must_check_;
