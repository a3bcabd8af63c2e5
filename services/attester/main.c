#include "services/attester/attester.h"

int main(int argc, char **argv)
{
    return service_main(&attester_service, argc, argv);
}
