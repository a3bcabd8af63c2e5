/* The program in each confidential VM: state and settings. */
#pragma once

#include "shared/service/service.h"

struct guest_agent_config {
    struct service_config common; /* first member */
    char *config_disk;
    char *run_dir;
    char *certs_dir;
    char *images_dir;
    char *image_version_file;
    char *docker;
    char *compose;
    char *docker_socket;
    char *tee;
    char *tee_path;
    char *gpus;
    char *rims_dir;
    uint64_t https_port;
};

extern const struct service guest_agent_service;
