#include "services/host-agent/domain_xml.h"

#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/xmlwriter.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

DEFINE_CLEANUP(xmlTextWriterPtr, xmlFreeTextWriter)
DEFINE_CLEANUP(xmlBufferPtr, xmlBufferFree)
DEFINE_CLEANUP(xmlDocPtr, xmlFreeDoc)

/* The writer, and whether any call failed: checked once at the end. */
struct xml {
    xmlTextWriterPtr writer;
    bool failed;
};

static void open_(struct xml *xml, const char *name)
{
    xml->failed |= xmlTextWriterStartElement(xml->writer, BAD_CAST name) < 0;
}

static void close_(struct xml *xml)
{
    xml->failed |= xmlTextWriterEndElement(xml->writer) < 0;
}

static void attr(struct xml *xml, const char *name, const char *value)
{
    xml->failed |= !value || !xmlCheckUTF8(BAD_CAST value) ||
                   xmlTextWriterWriteAttribute(xml->writer, BAD_CAST name, BAD_CAST value) < 0;
}

static void attr_u64(struct xml *xml, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    attr(xml, name, text);
}

static void text_element(struct xml *xml, const char *name, const char *text)
{
    xml->failed |= !text || !xmlCheckUTF8(BAD_CAST text) ||
                   xmlTextWriterWriteElement(xml->writer, BAD_CAST name, BAD_CAST text) < 0;
}

/* <name a="x" b="y"/>: pairs ended by NULL. */
static void __attribute__((sentinel)) leaf(struct xml *xml, const char *name, ...)
{
    va_list args;
    const char *key;

    open_(xml, name);
    va_start(args, name);
    while ((key = va_arg(args, const char *)))
        attr(xml, key, va_arg(args, const char *));
    va_end(args);
    close_(xml);
}

void domain_mac(const struct vm_facts *facts, char ret_mac[DOMAIN_MAC_SIZE])
{
    _cleanup_free_ char *seed = xasprintf("%s.%" PRIu64, facts->workload_id, facts->generation);
    uint8_t d[SHA256_SIZE];

    sha256(seed, strlen(seed), d);
    /* 52: locally administered, unicast */
    snprintf(ret_mac, DOMAIN_MAC_SIZE, "52:%02x:%02x:%02x:%02x:%02x", d[0], d[1], d[2], d[3], d[4]);
}

static void write_metadata(struct xml *xml, const struct vm_facts *facts)
{
    char manifest[65];

    hex_encode(facts->manifest_sha256, sizeof(facts->manifest_sha256), manifest);
    open_(xml, "metadata");
    open_(xml, "coffer:vm");
    attr(xml, "xmlns:coffer", DOMAIN_METADATA_URI);
    attr_u64(xml, "generation", facts->generation);
    attr_u64(xml, "cpus", facts->cpus);
    attr_u64(xml, "memory-mib", facts->memory_mib);
    attr_u64(xml, "disk-gib", facts->disk_gib);
    attr_u64(xml, "gpus", facts->gpus);
    attr(xml, "image", facts->image_version);
    attr(xml, "manifest-sha256", manifest);
    for (size_t i = 0; i < facts->n_domains; i++)
        text_element(xml, "coffer:domain", facts->domains[i]);
    close_(xml);
    close_(xml);
}

static void write_memory(struct xml *xml, const struct domain_spec *spec)
{
    char mib[24];

    snprintf(mib, sizeof(mib), "%" PRIu64, spec->facts->memory_mib);
    open_(xml, "memory");
    attr(xml, "unit", "MiB");
    xml->failed |= xmlTextWriterWriteString(xml->writer, BAD_CAST mib) < 0;
    close_(xml);
    if (spec->sev_snp) { /* guest_memfd needs shared, anonymous files behind it */
        open_(xml, "memoryBacking");
        leaf(xml, "source", "type", "memfd", NULL);
        leaf(xml, "access", "mode", "shared", NULL);
        close_(xml);
    }
    snprintf(mib, sizeof(mib), "%" PRIu32, spec->facts->cpus);
    text_element(xml, "vcpu", mib);
}

static void write_os(struct xml *xml, const struct domain_spec *spec)
{
    open_(xml, "os");
    open_(xml, "type");
    if (spec->virt != DOMAIN_VIRT_TEST) {
        attr(xml, "arch", "x86_64");
        attr(xml, "machine", "q35");
    }
    xml->failed |= xmlTextWriterWriteString(xml->writer, BAD_CAST "hvm") < 0;
    close_(xml);
    if (spec->sev_snp) {
        open_(xml, "loader");
        attr(xml, "type", "rom");
        attr(xml, "stateless", "yes");
        xml->failed |= xmlTextWriterWriteString(xml->writer, BAD_CAST spec->firmware) < 0;
        close_(xml);
    }
    text_element(xml, "kernel", spec->kernel);
    text_element(xml, "initrd", spec->initrd);
    text_element(xml, "cmdline", spec->cmdline);
    close_(xml);
}

static void write_cpu(struct xml *xml, const struct domain_spec *spec)
{
    open_(xml, "features");
    leaf(xml, "acpi", NULL);
    leaf(xml, "apic", NULL);
    if (spec->sev_snp)
        leaf(xml, "smm", "state", "off", NULL);
    close_(xml);
    if (spec->sev_snp) { /* the model is part of the launch measurement */
        open_(xml, "cpu");
        attr(xml, "mode", "custom");
        attr(xml, "match", "exact");
        attr(xml, "check", "none");
        open_(xml, "model");
        attr(xml, "fallback", "forbid");
        xml->failed |= xmlTextWriterWriteString(xml->writer, BAD_CAST spec->cpu_model) < 0;
        close_(xml);
        close_(xml);
    } else if (spec->virt == DOMAIN_VIRT_KVM) {
        leaf(xml, "cpu", "mode", "host-passthrough", NULL);
    } else if (spec->virt == DOMAIN_VIRT_QEMU) {
        /* The emulator carries out rep movs slowly, and these tell the kernel that it is fast. */
        open_(xml, "cpu");
        attr(xml, "mode", "maximum");
        leaf(xml, "feature", "policy", "disable", "name", "erms", NULL);
        leaf(xml, "feature", "policy", "disable", "name", "fsrm", NULL);
        close_(xml);
    }
}

/* Nothing restarts by itself: a restart is a new boot with a new generation. */
static void write_life_cycle(struct xml *xml)
{
    leaf(xml, "clock", "offset", "utc", NULL);
    text_element(xml, "on_poweroff", "destroy");
    text_element(xml, "on_reboot", "destroy");
    text_element(xml, "on_crash", "destroy");
}

static void write_disk(struct xml *xml, const struct domain_spec *spec, const char *target,
                       const char *serial, const char *file, bool writable)
{
    open_(xml, "disk");
    attr(xml, "type", "file");
    attr(xml, "device", "disk");
    open_(xml, "driver");
    attr(xml, "name", "qemu");
    attr(xml, "type", "raw");
    if (writable) { /* ephemeral: its key dies with the VM, so no flush is worth its time */
        attr(xml, "cache", "unsafe");
        attr(xml, "discard", "unmap");
    }
    if (spec->sev_snp)
        attr(xml, "iommu", "on");
    close_(xml);
    leaf(xml, "source", "file", file, NULL);
    leaf(xml, "target", "dev", target, "bus", "virtio", NULL);
    text_element(xml, "serial", serial);
    if (!writable)
        leaf(xml, "readonly", NULL);
    close_(xml);
}

static void write_interface(struct xml *xml, const struct domain_spec *spec)
{
    char mac[DOMAIN_MAC_SIZE];

    domain_mac(spec->facts, mac);
    open_(xml, "interface");
    attr(xml, "type", "network");
    leaf(xml, "mac", "address", mac, NULL);
    leaf(xml, "source", "network", spec->network, NULL);
    leaf(xml, "model", "type", "virtio", NULL);
    if (spec->sev_snp) {
        leaf(xml, "driver", "iommu", "on", NULL);
        leaf(xml, "rom", "enabled", "no", NULL);
    }
    leaf(xml, "port", "isolated", "yes", NULL);
    if (spec->filter_spoofing) {
        open_(xml, "filterref");
        attr(xml, "filter", "clean-traffic");
        leaf(xml, "parameter", "name", "CTRL_IP_LEARNING", "value", "dhcp", NULL);
        close_(xml);
    }
    close_(xml);
}

static void write_serial(struct xml *xml, const struct domain_spec *spec)
{
    open_(xml, "serial");
    attr(xml, "type", "file");
    /* append: the console is rotated by truncation while QEMU keeps it open */
    leaf(xml, "source", "path", spec->console_log, "append", "on", NULL);
    leaf(xml, "target", "port", "0", NULL);
    close_(xml);
}

static void write_channel(struct xml *xml, const struct domain_spec *spec)
{
    open_(xml, "controller");
    attr(xml, "type", "virtio-serial");
    attr(xml, "index", "0");
    close_(xml);
    open_(xml, "channel");
    attr(xml, "type", "unix");
    leaf(xml, "source", "mode", "bind", "path", spec->channel_socket, NULL);
    leaf(xml, "target", "type", "virtio", "name", "org.coffer.sp.0", NULL);
    close_(xml);
}

static void write_rng(struct xml *xml, const struct domain_spec *spec)
{
    open_(xml, "rng");
    attr(xml, "model", "virtio");
    if (spec->sev_snp)
        leaf(xml, "driver", "iommu", "on", NULL);
    open_(xml, "backend");
    attr(xml, "model", "random");
    xml->failed |= xmlTextWriterWriteString(xml->writer, BAD_CAST "/dev/urandom") < 0;
    close_(xml);
    close_(xml);
}

static void write_devices(struct xml *xml, const struct domain_spec *spec)
{
    open_(xml, "devices");
    write_disk(xml, spec, "vda", "coffer-root", spec->root_disk, false);
    write_disk(xml, spec, "vdb", "coffer-verity", spec->verity_disk, false);
    write_disk(xml, spec, "vdc", "coffer-state", spec->state_disk, true);
    write_disk(xml, spec, "vdd", "coffer-config", spec->config_disk, false);
    leaf(xml, "controller", "type", "usb", "model", "none", NULL);
    write_interface(xml, spec);
    write_serial(xml, spec);
    if (spec->channel_socket)
        write_channel(xml, spec);
    leaf(xml, "memballoon", "model", "none", NULL);
    write_rng(xml, spec);
    close_(xml);
}

static void write_launch_security(struct xml *xml, const struct domain_spec *spec)
{
    char policy[16];
    _cleanup_free_ char *host_data =
        base64_encode_new(spec->facts->manifest_sha256, sizeof(spec->facts->manifest_sha256));

    snprintf(policy, sizeof(policy), "0x%x", DOMAIN_SNP_POLICY);
    open_(xml, "launchSecurity");
    attr(xml, "type", "sev-snp");
    attr(xml, "kernelHashes", "yes");
    text_element(xml, "policy", policy);
    text_element(xml, "hostData", host_data);
    close_(xml);
}

static void write_domain(struct xml *xml, const struct domain_spec *spec)
{
    static const char *const types[] = {"qemu", "kvm", "test"};
    _cleanup_free_ char *name = xasprintf(DOMAIN_NAME_PREFIX "%s", spec->facts->workload_id);

    open_(xml, "domain");
    attr(xml, "type", types[spec->virt]);
    text_element(xml, "name", name);
    write_metadata(xml, spec->facts);
    write_memory(xml, spec);
    write_os(xml, spec);
    write_cpu(xml, spec);
    write_life_cycle(xml);
    write_devices(xml, spec);
    if (spec->sev_snp)
        write_launch_security(xml, spec);
    close_(xml);
}

static struct error *check_spec(const struct domain_spec *spec)
{
    struct error *err = vm_facts_check(spec->facts);

    if (err)
        return err;
    if (spec->sev_snp && (spec->virt != DOMAIN_VIRT_KVM || !spec->firmware || !spec->cpu_model))
        return error_new(ERROR_INVALID_ARGUMENT, "SEV-SNP needs KVM, firmware and a CPU model");
    for (const char *p = spec->cmdline; *p; p++)
        if (*p < ' ' || *p > '~')
            return error_new(ERROR_INVALID_ARGUMENT, "the command line is not printable ASCII");
    return NULL;
}

struct error *domain_xml_new(const struct domain_spec *spec, char **ret_xml)
{
    struct error *err = check_spec(spec);
    if (err)
        return error_wrap(err, "domain of '%s'", spec->facts->workload_id ?: "");

    _cleanup_(xmlBufferFreep) xmlBufferPtr buffer = xmlBufferCreate();
    _cleanup_(xmlFreeTextWriterp) xmlTextWriterPtr writer = xmlNewTextWriterMemory(buffer, 0);
    struct xml xml = {.writer = writer};
    if (!writer)
        return error_new(ERROR_INTERNAL, "no XML writer");
    xmlTextWriterSetIndent(writer, 1);
    xmlTextWriterSetIndentString(writer, BAD_CAST "  ");
    write_domain(&xml, spec);
    if (xml.failed || xmlTextWriterFlush(writer) < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "domain of '%s' has a text that XML cannot carry",
                         spec->facts->workload_id);
    *ret_xml = xstrdup((const char *)xmlBufferContent(buffer));
    return NULL;
}

static bool read_u64(xmlNodePtr node, const char *name, uint64_t *ret_value)
{
    xmlChar *text = xmlGetNoNsProp(node, BAD_CAST name);
    char *end = NULL;

    if (!text)
        return false;
    errno = 0;
    *ret_value = strtoull((const char *)text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && !*end && !errno;
    xmlFree(text);
    return good;
}

static char *read_text(xmlChar *text)
{
    char *copy = xstrdup((const char *)text);

    xmlFree(text);
    return copy;
}

static void read_domains(xmlNodePtr node, struct vm_facts *facts)
{
    for (xmlNodePtr child = node->children; child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE || !xmlStrEqual(child->name, BAD_CAST "domain"))
            continue;
        if (facts->n_domains > VM_DOMAINS_MAX)
            return;
        _cleanup_free_ char *name = read_text(xmlNodeGetContent(child));
        vm_facts_add_domain(facts, name ?: "");
    }
}

static struct error *read_facts(xmlNodePtr node, struct vm_facts *facts)
{
    uint64_t cpus, gpus;
    _cleanup_free_ char *manifest = read_text(xmlGetNoNsProp(node, BAD_CAST "manifest-sha256"));

    if (!read_u64(node, "generation", &facts->generation) || !read_u64(node, "cpus", &cpus) ||
        !read_u64(node, "memory-mib", &facts->memory_mib) ||
        !read_u64(node, "disk-gib", &facts->disk_gib) || !read_u64(node, "gpus", &gpus) ||
        cpus > VM_CPUS_MAX || gpus > VM_CPUS_MAX || !manifest)
        return error_new(ERROR_INVALID_ARGUMENT, "a number is missing or out of range");
    facts->cpus = (uint32_t)cpus;
    facts->gpus = (uint32_t)gpus;
    facts->image_version = read_text(xmlGetNoNsProp(node, BAD_CAST "image"));
    read_domains(node, facts);
    struct error *err = hex_decode(manifest, facts->manifest_sha256, 32);
    return err ? err : vm_facts_check(facts);
}

struct error *domain_metadata_parse(const char *name, const char *metadata,
                                    struct vm_facts *ret_facts)
{
    size_t prefix = strlen(DOMAIN_NAME_PREFIX), size = strlen(metadata);
    _cleanup_facts_ struct vm_facts facts = {0};

    if (strncmp(name, DOMAIN_NAME_PREFIX, prefix) != 0 || size > 64 * 1024)
        return error_new(ERROR_INVALID_ARGUMENT, "domain '%s' is not ours", name);
    _cleanup_(xmlFreeDocp) xmlDocPtr doc = xmlReadMemory(
        metadata, (int)size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!root || !xmlStrEqual(root->name, BAD_CAST "vm"))
        return error_new(ERROR_INVALID_ARGUMENT, "metadata of domain '%s' is not ours", name);
    facts.workload_id = xstrdup(name + prefix);
    struct error *err = read_facts(root, &facts);
    if (err)
        return error_wrap(err, "metadata of domain '%s'", name);
    *ret_facts = facts;
    facts = (struct vm_facts){0};
    return NULL;
}
