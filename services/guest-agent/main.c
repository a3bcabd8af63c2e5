#include "services/guest-agent/guest_agent.h"

int main(int argc, char **argv)
{
    return service_main(&guest_agent_service, argc, argv);
}
