/*
 * The libvirt domain of a VM: a pure function from a struct to text, and back for the part that is
 * ours (metadata). Sources: libvirt's formatdomain and launch-security documents.
 */
#pragma once

#include "services/host-agent/vm_facts.h"

#define DOMAIN_NAME_PREFIX  "coffer-"
#define DOMAIN_METADATA_URI "urn:coffer:vm:1"
#define DOMAIN_SNP_POLICY   0x30000 /* ABI 0.0, SMT allowed, the reserved bit that must be one */

enum domain_virt {
    DOMAIN_VIRT_QEMU, /* software emulation (TCG) */
    DOMAIN_VIRT_KVM,
    DOMAIN_VIRT_TEST, /* libvirt's in-process test driver */
};

/* Everything a backend needs. The caller owns all texts; paths are absolute. */
struct domain_spec {
    const struct vm_facts *facts;
    enum domain_virt virt;
    bool sev_snp;          /* real hardware: adds launchSecurity; needs KVM and firmware */
    const char *cpu_model; /* with sev_snp: QEMU's versioned name, for example "EPYC-v4" */
    const char *firmware;  /* with sev_snp */
    const char *kernel;
    const char *initrd;
    const char *cmdline;
    const char *root_disk;
    const char *verity_disk;
    const char *state_disk;
    const char *config_disk;
    const char *console_log;
    const char *channel_socket; /* software TEE; NULL: no channel */
    const char *network;
    bool filter_spoofing; /* libvirt's "clean-traffic" filter is there */
};

/* INVALID_ARGUMENT: facts that do not pass vm_facts_check(), or a text XML cannot carry. */
struct error *domain_xml_new(const struct domain_spec *spec, char **ret_xml) _must_check_;

/* The facts from the metadata element that libvirt gives back. name is the domain's. */
struct error *domain_metadata_parse(const char *name, const char *metadata,
                                    struct vm_facts *ret_facts) _must_check_;

/* Stable for one (workload, generation), so that leases of an older VM are never taken for its. */
#define DOMAIN_MAC_SIZE 18
void domain_mac(const struct vm_facts *facts, char ret_mac[DOMAIN_MAC_SIZE]);
