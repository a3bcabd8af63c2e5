/*
 * `coffer verify`: proves, with no server of ours, what runs behind a TLS name. Exit codes: 0
 * verified, 1 the evidence is bad, 2 usage, 3 cannot tell (not reached, or something to compare
 * with is missing).
 */
#pragma once

int verify_main(int argc, char **argv);
