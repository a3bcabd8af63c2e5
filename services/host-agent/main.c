#include "services/host-agent/host_agent.h"

int main(int argc, char **argv)
{
    return service_main(&host_agent_service, argc, argv);
}
