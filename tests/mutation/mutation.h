/* Put before every file of a mutated copy: which decision is turned, and which ones a test reached.
 */
#pragma once

/* True when decision n is the one that COFFER_MUTANT names; notes that it was reached. */
int coffer_mutation(int n);
