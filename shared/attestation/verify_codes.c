/* Everything that can be wrong, by a name that stays. Rows are added, never renamed. */
#include "shared/attestation/verify_codes.h"

#include <string.h>

#include "shared/attestation/verifier.h"
#include "shared/base/cleanup.h"

#define BAD(step, name, meaning)                                                                   \
    {                                                                                              \
#step "_" #name, #step, VERDICT_FAIL, (meaning)                                            \
    }
#define MISSING(step, name, meaning)                                                               \
    {                                                                                              \
#step "_" #name, #step, VERDICT_UNKNOWN, (meaning)                                         \
    }
#define NO_REPORT(step) MISSING(step, no_report, "there is no report to judge")

static const struct verify_code codes[] = {
    BAD(format, not_a_report, "the bytes are not a report"),
    BAD(format, algorithm, "signature algorithm is not ECDSA P-384 with SHA-384"),
    BAD(format, reserved, "a reserved byte is set"),
    BAD(format, tail, "a byte behind the signature, which nothing signs, is set"),
    BAD(format, scalar, "a signature scalar is longer than 48 bytes"),
    BAD(format, policy_bit, "policy bit 17, which is always 1, is not set"),
    BAD(format, key_info, "a reserved bit of the key information is set"),
    BAD(format, signing_key, "signed by neither VCEK nor VLEK"),
    NO_REPORT(format),
    BAD(version, not_accepted, "a report version that the policy does not accept"),
    NO_REPORT(version),
    BAD(product, not_known, "the report's CPUID is of no known processor"),
    BAD(product, differs, "report and certificate name different processors"),
    MISSING(product, no_certificate, "neither report nor certificate says what processor it is"),
    NO_REPORT(product),
    BAD(chain, table, "the certificate table is malformed"),
    BAD(chain, certificate, "a certificate cannot be read"),
    BAD(chain, root, "the chain ends in a root that is not trusted"),
    BAD(chain, intermediate, "the intermediate certificate is not one that the root is known for"),
    BAD(chain, profile, "keys or signature algorithms are not those of the vendor's profile"),
    BAD(chain, path, "the certificates do not sign each other up to the root"),
    BAD(chain, product, "the root is of another product than the certificate"),
    MISSING(chain, no_vek, "there is no certificate of the chip's key"),
    MISSING(chain, no_ask, "there is no intermediate certificate (ASK)"),
    MISSING(chain, no_ark, "there is no root certificate (ARK)"),
    BAD(validity, out_of_date, "a certificate is not in date"),
    MISSING(validity, no_certificates, "certificates are missing"),
    BAD(revocation, revoked, "a certificate of the chain is revoked"),
    BAD(revocation, crl, "the revocation list is not the root's, or cannot be understood"),
    MISSING(revocation, no_crl, "there is no revocation list for this chain"),
    MISSING(revocation, stale, "the revocation list is not in date"),
    MISSING(revocation, no_chain, "there is no chain that a revocation list could be for"),
    BAD(signing_key, kind, "report and certificate name different kinds of key"),
    BAD(signing_key, vlek, "signed by a VLEK, which names no chip"),
    BAD(signing_key, csp_id, "signed by the VLEK of a cloud that is not in the list"),
    MISSING(signing_key, csp_id_not_given, "which clouds' VLEKs are accepted is not given"),
    MISSING(signing_key, no_certificate, "certificate or report missing"),
    BAD(extensions, malformed, "what the certificate says of its chip cannot be read"),
    BAD(extensions, tcb, "the certificate is of another firmware level"),
    BAD(extensions, chip, "the certificate is of another chip"),
    MISSING(extensions, no_certificate, "certificate or report missing"),
    BAD(signature, wrong, "does not verify"),
    MISSING(signature, no_certificate, "certificate or report missing"),
    BAD(tcb, order, "firmware levels are not in order"),
    MISSING(tcb, no_product, "the product is not known"),
    NO_REPORT(tcb),
    BAD(provisional, firmware, "firmware is provisional, not committed"),
    MISSING(provisional, no_product, "the product is not known"),
    NO_REPORT(provisional),
    BAD(tcb_minimum, below, "a firmware level is below the minimum"),
    MISSING(tcb_minimum, not_given, "there is no minimum for this processor"),
    NO_REPORT(tcb_minimum),
    BAD(firmware, below, "the security processor's firmware is older than the minimum"),
    NO_REPORT(firmware),
    BAD(report_data, differs, "made for another key or another question"),
    MISSING(report_data, not_given, "what report_data must be is not given"),
    NO_REPORT(report_data),
    BAD(measurement, none, "the measurement is all zero"),
    BAD(measurement, not_listed, "another software was started"),
    MISSING(measurement, not_given, "which measurements are accepted is not given"),
    NO_REPORT(measurement),
    BAD(host_data, differs, "started with another manifest"),
    MISSING(host_data, not_given, "what HOST_DATA must be is not given"),
    NO_REPORT(host_data),
    BAD(debug, on, "the host can read the guest"),
    NO_REPORT(debug),
    BAD(migration, allowed, "the guest may be handed to a migration agent"),
    BAD(migration, agent, "a migration agent is there"),
    NO_REPORT(migration),
    BAD(guest_policy, forbidden, "the guest's policy allows what must not be"),
    BAD(guest_policy, required, "the guest's policy lacks what must be"),
    BAD(guest_policy, unknown_bits, "the guest's policy has bits that are not known"),
    NO_REPORT(guest_policy),
    BAD(abi, below, "the guest may run on an older firmware interface than the minimum"),
    NO_REPORT(abi),
    BAD(platform_info, forbidden, "the host has what must not be"),
    BAD(platform_info, required, "the host lacks what must be"),
    BAD(platform_info, unknown_bits, "the host's state has bits that are not known"),
    NO_REPORT(platform_info),
    BAD(vmpl, host, "asked for by the host, not by the guest"),
    BAD(vmpl, differs, "asked for at another privilege level"),
    NO_REPORT(vmpl),
    BAD(chip, hidden, "the report hides its chip"),
    BAD(chip, denied, "this chip is on the deny-list"),
    BAD(chip, not_listed, "this chip is not on the allow-list"),
    MISSING(chip, not_named, "the report names no chip to look up in the deny-list"),
    MISSING(chip, not_given, "which chips are accepted is not given"),
    NO_REPORT(chip),
    BAD(id_block, inconsistent, "key digests and their flags contradict each other"),
    BAD(id_block, id_key, "launched without an ID block by one of the accepted keys"),
    BAD(id_block, author_key, "the ID block's key is vouched for by none of the accepted authors"),
    BAD(id_block, guest_svn, "the guest's security version is below the minimum"),
    NO_REPORT(id_block),
    BAD(mitigations, missing, "a mitigation that must be there is not"),
    NO_REPORT(mitigations),

    /* What `coffer verify` finds around the report. */
    BAD(tls, failed, "the connection is not one to the named server"),
    MISSING(tls, unknown, "the server's name could not be judged"),
    BAD(evidence, malformed, "the answer is not that of an attester"),
    MISSING(evidence, missing, "there is no evidence"),
    BAD(key, differs, "the evidence is for another key than this connection's"),
    MISSING(key, not_given, "whose TLS key the evidence must be for is not given"),
    MISSING(key, no_evidence, "there is no evidence"),
    BAD(freshness, none, "the evidence does not answer the nonce"),
    MISSING(freshness, not_given, "which nonce the evidence must answer is not given"),
    MISSING(freshness, no_evidence, "there is no evidence"),
    MISSING(devices, unknown, "device evidence could not be judged"),
    BAD(image, refused, "the image's description is not signed, or has no such guest"),
    MISSING(image, missing, "there is no signed description of the image"),
    BAD(image, not_listed, "none of the image's measurements is one that the policy lists"),
    MISSING(image, no_evidence, "there is no evidence"),
    BAD(manifest, differs, "another project runs there"),
    MISSING(manifest, not_given, "which manifest is expected is not given"),
    MISSING(manifest, no_evidence, "there is no evidence"),
    MISSING(pinning, unknown, "what is pinned could not be judged"),

    /* What verify_gpus() finds, of all devices together. */
    BAD(gpu_count, differs, "not as many GPUs as there must be"),
    MISSING(gpu_count, no_evidence, "there is no evidence"),
    BAD(gpu_format, malformed, "the evidence of a device cannot be read"),
    MISSING(gpu_format, none, "there is no device"),
    BAD(gpu_chain, path, "certificates of a device do not lead to the vendor's root"),
    MISSING(gpu_chain, none, "a device has no evidence"),
    BAD(gpu_validity, out_of_date, "a certificate of a device is not in date"),
    MISSING(gpu_validity, none, "a device has no evidence"),
    BAD(gpu_signature, wrong, "evidence of a device does not verify"),
    MISSING(gpu_signature, none, "a device has no evidence"),
    BAD(gpu_nonce, differs, "a device answered another question"),
    MISSING(gpu_nonce, not_given, "the nonce of a device is not given"),
    BAD(gpu_firmware, differs, "a device runs other firmware than its certificate is for"),
    MISSING(gpu_firmware, not_told, "a device does not name its firmware"),
    BAD(gpu_mode, refused, "a GPU is in an unknown mode, or in another one than the rest"),
    MISSING(gpu_mode, none, "a device has no evidence"),
    BAD(gpu_driver, rim, "reference values of a driver are not the vendor's"),
    MISSING(gpu_driver, no_rim, "there are no reference values for a driver"),
    MISSING(gpu_driver, ambiguous, "signed reference values for a driver contradict each other"),
    BAD(gpu_vbios, rim, "reference values of a VBIOS are not the vendor's"),
    MISSING(gpu_vbios, no_rim, "there are no reference values for a VBIOS"),
    MISSING(gpu_vbios, ambiguous, "signed reference values for a VBIOS contradict each other"),
    BAD(gpu_rim_validity, out_of_date, "the signer of reference values is not in date"),
    MISSING(gpu_rim_validity, no_rim, "there are no reference values"),
    BAD(gpu_measurements, differ, "a device runs something else than its reference values say"),
    MISSING(gpu_measurements, no_rim, "some reference values are missing"),
    BAD(gpu_revocation, revoked, "a certificate of a device or of reference values is revoked"),
    MISSING(gpu_revocation, no_ocsp, "there is no OCSP response for a certificate"),
    BAD(gpu_distinct, repeated, "one device answered for two"),
    MISSING(gpu_distinct, none, "a device has no evidence"),
    BAD(gpu_topology, links, "a device is linked to one that there is no evidence of"),
    MISSING(gpu_topology, none, "a device has no evidence"),
};

static const struct {
    const char *step;
    const char *why;
} reasons[] = {
    {"format", "bytes that are not exactly a report could mean different things to others"},
    {"version", "the meaning of a report of an unknown version is not known"},
    {"product", "firmware levels of one product read as those of another mean nothing"},
    {"chain", "anyone can make a report; only a vendor's chain shows a real processor"},
    {"validity", "a certificate out of date is no longer vouched for"},
    {"revocation", "a key that the vendor took back may be in an attacker's hands"},
    {"signing_key", "a cloud's key says nothing of which chip it is"},
    {"extensions", "the key must be the one of this chip at this firmware level"},
    {"signature", "every field of the report could be forged without it"},
    {"tcb", "levels out of order show a report that no firmware makes"},
    {"provisional", "firmware that is not committed can be rolled back to one with known holes"},
    {"tcb_minimum", "firmware below the minimum has known holes"},
    {"firmware", "firmware below the minimum has known holes"},
    {"report_data", "a report made for another key or another question could be replayed"},
    {"measurement", "other software could have been started in place of the published image"},
    {"host_data", "the host could have started the image with another manifest"},
    {"debug", "a debug guest can be read by its host"},
    {"migration", "a migration agent can move the guest's memory elsewhere"},
    {"guest_policy", "the host may do to the guest what its policy allows"},
    {"abi", "an older interface lacks protections that the guest counts on"},
    {"platform_info", "memory aliases or missing protections of the host can undo encryption"},
    {"vmpl", "less privileged code of the guest could speak in place of the image"},
    {"chip", "a genuine but different machine could answer"},
    {"id_block", "without the owner's key on the launch, its version numbers mean nothing"},
    {"mitigations", "a known hole may be open although the firmware is new enough"},
};

const struct verify_code *verify_codes(size_t *ret_n)
{
    *ret_n = ELEMENTSOF(codes);
    return codes;
}

const struct verify_code *verify_code_find(const char *code)
{
    for (size_t i = 0; i < ELEMENTSOF(codes); i++)
        if (strcmp(codes[i].code, code) == 0)
            return &codes[i];
    return NULL;
}

const struct verify_code *verify_code_of_step(const char *step, enum verdict verdict)
{
    for (size_t i = 0; i < ELEMENTSOF(codes); i++)
        if (codes[i].verdict == verdict && strcmp(codes[i].step, step) == 0)
            return &codes[i];
    return NULL;
}

const char *verify_step_reason(const char *step)
{
    for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
        if (strcmp(reasons[i].step, step) == 0)
            return reasons[i].why;
    return "";
}
