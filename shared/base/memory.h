/* Gives back what only the start of a program needed. */
#pragma once

/* Free heap pages, and pages of program code, which come back from the file when they run again. */
void memory_trim(void);
