/* The program without its main(): from the command line to a command. */
#pragma once

/* argv[0] is the program. Returns the exit code. */
int frame_run(int argc, char **argv);
