#include <locale.h>

#include "cli/frame.h"

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, ""); /* how wide characters are; numbers stay as programs read them */
    return frame_run(argc, argv);
}
