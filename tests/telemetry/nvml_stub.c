/* A libnvidia-ml.so.1 with two GPUs, for the real pynvml to talk to. Variables of the environment choose a mode:
   STUB_FAIL       calls that give STUB_CODE, as "name name:1 …": on every GPU, or on the one with that number
   STUB_HANG       calls that never return, in the same form; "load" hangs while the library is loaded
   STUB_NOTE       a file that gets a line with the process id before a call hangs
   STUB_MEMORY     "1": only version 1 of the call for the memory; "none": sizes are not available
   STUB_PROCESSES  "2" or "1": only this version of the list of processes
   STUB_PID        the id of the first process that computes; STUB_DRAWING: of one that draws
   STUB_RESET      the number of the reading at which the energy counter begins again
   STUB_MIG        the first GPU is in MIG mode, with this number of instances */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7
#define FUNCTION_NOT_FOUND 13

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;

/* 0 and 1 are GPUs, 2 and 3 instances of the first. */
static int handles[4] = {0, 1, 2, 3};
static const char *uuids[4] = {
    "GPU-aaaa1111-0000-0000-0000-000000000000", "GPU-bbbb2222-0000-0000-0000-000000000000",
    "MIG-aaaa1111-0000-0000-0000-000000000001", "MIG-aaaa1111-0000-0000-0000-000000000002"};
static const char *names[4] = {"Stub A", "Stub B", "Stub A MIG 1g.3gb", "Stub A MIG 2g.6gb"};

static int listed(const char *variable, const char *name, int *gpu) {
    const char *list = getenv(variable);
    if (!list) return 0;
    char copy[512];
    strncpy(copy, list, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *number = strchr(word, ':');
        if (number) *number++ = 0;
        if (!strcmp(word, name) && (!number || (gpu && atoi(number) == *gpu))) return 1;
    }
    return 0;
}
static void hang(void) {
    if (getenv("STUB_NOTE")) {
        FILE *note = fopen(getenv("STUB_NOTE"), "a");
        fprintf(note, "%d\n", getpid());
        fclose(note);
    }
    for (;;) pause();
}
static int tried(const char *name, int *gpu) {
    if (listed("STUB_HANG", name, gpu)) hang();
    return listed("STUB_FAIL", name, gpu) ? atoi(getenv("STUB_CODE")) : SUCCESS;
}
#define TRY(name, gpu) do { int code = tried(name, gpu); if (code) return code; } while (0)

__attribute__((constructor)) static void load(void) { if (listed("STUB_HANG", "load", NULL)) hang(); }
static int is(const char *variable, const char *value) { return getenv(variable) && !strcmp(getenv(variable), value); }
static int instances(void) { return getenv("STUB_MIG") ? atoi(getenv("STUB_MIG")) : 0; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; printf("a library may print\n"); fflush(stdout); TRY("init", NULL); return SUCCESS; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : code == 9 ? "Driver Not Loaded" : "Some Error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { TRY("driver", NULL); strncpy(out, "595.12", size); return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { TRY("count", NULL); *count = 2; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, int **device) {
    if (index > 1) return INVALID_ARGUMENT;
    int gpu = (int)index;
    TRY("handle", &gpu);
    *device = &handles[index];
    return SUCCESS;
}
int nvmlDeviceGetUUID(int *gpu, char *out, unsigned size) { TRY("uuid", gpu); strncpy(out, uuids[*gpu], size); return SUCCESS; }
int nvmlDeviceGetName(int *gpu, char *out, unsigned size) { TRY("name", gpu); strncpy(out, names[*gpu], size); return SUCCESS; }
int nvmlDeviceGetMigMode(int *gpu, unsigned *current, unsigned *pending) {
    if (*gpu == 1) return NOT_SUPPORTED;
    *current = *pending = instances() > 0;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(int *gpu, unsigned *count) { (void)gpu; *count = 7; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(int *gpu, unsigned index, int **device) {
    (void)gpu;
    if ((int)index >= instances()) return NOT_FOUND;
    *device = &handles[2 + index];
    return SUCCESS;
}
static unsigned long long total(int *gpu) { return *gpu < 2 ? 24ULL << 30 : (*gpu - 1) * (3ULL << 30); }
static unsigned long long used(int *gpu) { return *gpu == 0 ? 3ULL << 30 : *gpu == 1 ? 5ULL << 30 : 1ULL << 30; }
static const unsigned long long reserved = 1ULL << 29;
int nvmlDeviceGetMemoryInfo(int *gpu, memory_t *out) {
    TRY("memory", gpu);
    out->total = total(gpu);
    out->used = is("STUB_MEMORY", "none") ? ~0ULL : used(gpu) + reserved;
    out->free = out->total - out->used;
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo_v2(int *gpu, memory_v2_t *out) {
    TRY("memory", gpu);
    if (is("STUB_MEMORY", "1")) return FUNCTION_NOT_FOUND;
    if (out->version != (sizeof *out | 2 << 24)) return 25;
    out->total = total(gpu);
    out->used = is("STUB_MEMORY", "none") ? ~0ULL : used(gpu);
    out->reserved = reserved;
    out->free = out->total - out->used - reserved;
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(int *gpu, utilization_t *out) {
    TRY("utilisation", gpu);
    if (*gpu > 1) return NOT_SUPPORTED;
    out->gpu = *gpu ? 90 : 40;
    out->memory = 7;
    return SUCCESS;
}
static int processes(int *gpu, unsigned *count, process_t *out) {
    if (*count < 2) { *count = 2; return INSUFFICIENT_SIZE; }
    unsigned pid = getenv("STUB_PID") ? (unsigned)atoi(getenv("STUB_PID")) : 4242;
    *count = 2;
    out[0] = (process_t){pid, *gpu == 1 ? 2ULL << 20 : 1ULL << 20, 0, 0};
    out[1] = (process_t){1, ~0ULL, 0, 0}; /* not available */
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(int *gpu, unsigned *count, process_t *out) {
    TRY("compute", gpu);
    return is("STUB_PROCESSES", "2") || is("STUB_PROCESSES", "1") ? FUNCTION_NOT_FOUND : processes(gpu, count, out);
}
int nvmlDeviceGetComputeRunningProcesses_v2(int *gpu, unsigned *count, process_t *out) {
    return is("STUB_PROCESSES", "1") ? FUNCTION_NOT_FOUND : processes(gpu, count, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(int *gpu, unsigned *count, process_t *out) {
    TRY("graphics", gpu);
    if (is("STUB_PROCESSES", "2") || is("STUB_PROCESSES", "1")) return FUNCTION_NOT_FOUND;
    unsigned space = *count;
    *count = getenv("STUB_DRAWING") ? 1 : 0;
    if (space < *count) return INSUFFICIENT_SIZE;
    if (*count) out[0] = (process_t){(unsigned)atoi(getenv("STUB_DRAWING")), 1ULL << 10, 0, 0};
    return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v2(int *gpu, unsigned *count, process_t *out) {
    (void)gpu;
    (void)out;
    if (is("STUB_PROCESSES", "1")) return FUNCTION_NOT_FOUND;
    *count = 0;
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(int *gpu, unsigned *milliwatts) {
    TRY("power", gpu);
    if (*gpu > 1) return NOT_SUPPORTED;
    *milliwatts = *gpu ? 250500 : 300000;
    return SUCCESS;
}
/* Every reading of a GPU finds 25 J more. */
int nvmlDeviceGetTotalEnergyConsumption(int *gpu, unsigned long long *millijoules) {
    static unsigned readings[2];
    TRY("energy", gpu);
    if (*gpu > 1) return NOT_SUPPORTED;
    unsigned reading = ++readings[*gpu], reset = getenv("STUB_RESET") ? (unsigned)atoi(getenv("STUB_RESET")) : 0;
    *millijoules = reset && reading >= reset ? (reading - reset) * 25000ULL : 7000000 + reading * 25000ULL;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(int *gpu, unsigned sensor, unsigned *out) { (void)sensor; TRY("temperature", gpu); *out = *gpu ? 81 : 60; return *gpu > 1 ? NOT_SUPPORTED : SUCCESS; }
int nvmlDeviceGetClockInfo(int *gpu, unsigned type, unsigned *out) {
    TRY(type == 1 ? "clock" : "memory-clock", gpu);
    *out = type == 1 ? (*gpu ? 1410 : 1980) : type == 2 ? (*gpu ? 1593 : 2619) : 1;
    return *gpu > 1 ? NOT_SUPPORTED : SUCCESS;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(int *gpu, unsigned long long *out) { TRY("throttling", gpu); *out = *gpu ? 0x44 : 0x1; return *gpu > 1 ? NOT_SUPPORTED : SUCCESS; }
