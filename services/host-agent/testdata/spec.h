/* The VM that the tests of host-agent order. */
#pragma once

#include "services/host-agent/domain_xml.h"
#include "shared/base/alloc.h"

struct test_spec {
    struct vm_facts facts;
    struct domain_spec spec;
};

static inline void test_spec_init(struct test_spec *test)
{
    *test = (struct test_spec){
        .facts = {.workload_id = xstrdup("0d4c1bb2-3a77-4f0e-9f5c-6a2b7f1e8d90"),
                  .generation = 3,
                  .cpus = 2,
                  .memory_mib = 2048,
                  .disk_gib = 10,
                  .image_version = xstrdup("2026.1")},
        .spec = {.virt = DOMAIN_VIRT_QEMU,
                 .kernel = "/images/2026.1/vmlinuz",
                 .initrd = "/images/2026.1/initrd.img",
                 .cmdline = "console=ttyS0 coffer.root=abcd",
                 .root_disk = "/images/2026.1/root.img",
                 .verity_disk = "/images/2026.1/root.verity",
                 .state_disk = "/state/vms/w/state.img",
                 .config_disk = "/state/vms/w/config.img",
                 .console_log = "/state/vms/w/console.log",
                 .channel_socket = "/state/sp/w.sock",
                 .network = "coffer"},
    };
    for (int i = 0; i < 32; i++)
        test->facts.manifest_sha256[i] = (uint8_t)i;
    vm_facts_add_domain(&test->facts, "hello.coffer.test");
    vm_facts_add_domain(&test->facts, "www.example.org");
    test->spec.facts = &test->facts;
}

static inline void test_spec_make_snp(struct test_spec *test)
{
    test->spec.virt = DOMAIN_VIRT_KVM;
    test->spec.sev_snp = true;
    test->spec.cpu_model = "EPYC-v4";
    test->spec.firmware = "/images/2026.1/OVMF.amdsev.fd";
    test->spec.channel_socket = NULL;
}

static inline void test_spec_done(struct test_spec *test)
{
    vm_facts_done(&test->facts);
}
