#include "services/api-gateway/gateway.h"

int main(int argc, char **argv)
{
    return service_main(&api_gateway_service, argc, argv);
}
