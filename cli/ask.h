/* Questions to the person at the terminal. */
#pragma once

#include <stdbool.h>

/* Prints the warning and asks; true for "y" or "yes". Without a terminal the answer is no. */
bool ask_yes(const char *warning);
