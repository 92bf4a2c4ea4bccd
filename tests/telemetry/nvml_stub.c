/* A libnvidia-ml.so.1 with two GPUs, for the real pynvml to talk to. STUB_FAIL names calls that give STUB_CODE. */
#include <stdlib.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define INSUFFICIENT_SIZE 7

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;

static int handles[2] = {0, 1};
static const char *uuids[2] = {"GPU-aaaa1111-0000-0000-0000-000000000000", "GPU-bbbb2222-0000-0000-0000-000000000000"};

/* STUB_FAIL is "name name:1 …": everywhere, or on the GPU of that number only. */
static int fails(const char *name, int *gpu) {
    const char *listed = getenv("STUB_FAIL");
    if (!listed) return 0;
    char copy[512];
    strncpy(copy, listed, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *number = strchr(word, ':');
        if (number) *number++ = 0;
        if (!strcmp(word, name) && (!number || (gpu && atoi(number) == *gpu))) return atoi(getenv("STUB_CODE"));
    }
    return 0;
}
#define TRY(name, gpu) do { int code = fails(name, gpu); if (code) return code; } while (0)

int nvmlInitWithFlags(unsigned flags) { (void)flags; TRY("init", NULL); return SUCCESS; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
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
int nvmlDeviceGetName(int *gpu, char *out, unsigned size) { TRY("name", gpu); strncpy(out, *gpu ? "Stub B" : "Stub A", size); return SUCCESS; }
int nvmlDeviceGetMemoryInfo(int *gpu, memory_t *out) {
    TRY("memory", gpu);
    out->total = 24ULL << 30;
    out->used = (*gpu ? 5ULL : 3ULL) << 30;
    out->free = out->total - out->used;
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(int *gpu, utilization_t *out) {
    TRY("utilisation", gpu);
    out->gpu = *gpu ? 90 : 40;
    out->memory = 7;
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(int *gpu, unsigned *count, process_t *out) {
    TRY("processes", gpu);
    if (*count < 2) { *count = 2; return INSUFFICIENT_SIZE; }
    unsigned pid = getenv("STUB_PID") ? (unsigned)atoi(getenv("STUB_PID")) : 4242;
    *count = 2;
    out[0] = (process_t){pid, (*gpu ? 2ULL : 1ULL) << 20, 0, 0};
    out[1] = (process_t){1, ~0ULL, 0, 0}; /* not available */
    return SUCCESS;
}
int nvmlDeviceGetTemperature(int *gpu, unsigned sensor, unsigned *out) { (void)sensor; TRY("temperature", gpu); *out = *gpu ? 81 : 60; return SUCCESS; }
int nvmlDeviceGetClockInfo(int *gpu, unsigned type, unsigned *out) { TRY("clock", gpu); *out = type == 1 ? (*gpu ? 1410 : 1980) : 1; return SUCCESS; }
int nvmlDeviceGetCurrentClocksThrottleReasons(int *gpu, unsigned long long *out) { TRY("throttling", gpu); *out = *gpu ? 0x44 : 0x1; return SUCCESS; }
