/* SPDX-License-Identifier: MIT */
#include "agent/info.h"

#include "agent/binfmt.h"
#include "base/file.h"
#include "base/util.h"
#include "wire/agent_version.h"

#include <string.h>
#include <sys/utsname.h>

const char agent_version[] = INITVM_VERSION;

/* The Debian name of the architecture this program was built for: what the guest's userland is (dpkg-architecture(1)). */
#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__i386__)
#define ARCHITECTURE "i386"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#elif defined(__arm__) && defined(__ARM_PCS_VFP)
#define ARCHITECTURE "armhf"
#elif defined(__arm__)
#define ARCHITECTURE "armel"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE "riscv64"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE "ppc64el"
#elif defined(__s390x__)
#define ARCHITECTURE "s390x"
#elif defined(__loongarch64)
#define ARCHITECTURE "loong64"
#else
#error "what does Debian call this architecture?"
#endif
const char agent_architecture[] = ARCHITECTURE;

/* An id and its line feed; machine-id(5) and random(4) have 32 and 36 characters. */
#define ID_FILE_MAX 64

/* The first line of a file, "" when it cannot be read. */
static char *read_id(const char *path)
{
        size_t n;
        char *text = file_read(path, ID_FILE_MAX, &n, NULL);

        if (!text)
                return xstrdup("");
        text[strcspn(text, "\n")] = '\0';
        return text;
}

struct json_object *info_new(void)
{
        autofree char *boot_id = read_id("/proc/sys/kernel/random/boot_id");
        autofree char *machine_id = read_id("/etc/machine-id");
        struct json_object *o = json_new();
        struct utsname system = {0};

        uname(&system);
        json_add_string(o, "agentVersion", agent_version);
        json_add_u64(o, "protocolMin", AGENT_PROTOCOL_MIN);
        json_add_u64(o, "protocolMax", AGENT_PROTOCOL_MAX);
        json_add_string(o, "bootId", boot_id);
        json_add_string(o, "machineId", machine_id);
        json_add_string(o, "kernel", system.release);
        json_add_string(o, "hostname", system.nodename);
        json_add_string(o, "architecture", agent_architecture);
        json_add(o, "binfmt", binfmt_state());
        return o;
}
