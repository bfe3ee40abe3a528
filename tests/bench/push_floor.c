// The lower bound that tests/bench/push compares with: it is told what is missing, and sends that.
// No hashing, no checks, no retries, one thread, HTTP/1.1.
//
// usage: push_floor BASE_URL/v2/REPOSITORY CONNECTIONS STEP...
//   get PATH | head PATH             one request after the other, before everything else
//   blob DIGEST SIZE FILE            POST and PUT, up to CONNECTIONS at once, in the order given
//   put PATH TYPE FILE               at the end
// The CA is SSL_CERT_FILE. PATH is relative: manifests/TAG.
#include <curl/curl.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 64, URL = 4096, SEND_BUFFER = 128 << 10 };

struct blob {
    const char *digest;
    const char *path;
    curl_off_t size;
};

struct slot {
    CURL *curl;
    const struct blob *blob;
    bool sending; // false: the POST is under way
    int fd;
    off_t at;
};

struct push {
    const char *base;
    CURLM *multi;
    struct curl_slist *plain;
    const struct blob *next;
    const struct blob *end;
    size_t running;
};

static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "push_floor: %s: %s\n", what, why);
    exit(1);
}

static size_t
drop(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

static size_t
read_file(char *room, size_t size, size_t count, void *user)
{
    struct slot *slot = user;
    ssize_t got = pread(slot->fd, room, size * count, slot->at);
    if (got < 0) {
        return CURL_READFUNC_ABORT;
    }
    slot->at += got;
    return (size_t)got;
}

static CURL *
handle_new(struct slot *slot)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        fail("curl_easy_init", "no handle");
    }
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CAINFO, getenv("SSL_CERT_FILE"));
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BUFFER);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_file);
    curl_easy_setopt(curl, CURLOPT_READDATA, slot);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    return curl;
}

static void
expect(CURL *curl, CURLcode code, long lowest, long highest)
{
    long status = 0;
    char *url = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    if (code != CURLE_OK) {
        fail(url, curl_easy_strerror(code));
    }
    if (status < lowest || status > highest) {
        fprintf(stderr, "push_floor: %s: HTTP %ld\n", url, status);
        exit(1);
    }
}

static void
slot_post(struct push *push, struct slot *slot)
{
    char url[URL];
    snprintf(url, sizeof(url), "%s/blobs/uploads/", push->base);
    slot->blob = push->next++;
    slot->sending = false;
    curl_easy_setopt(slot->curl, CURLOPT_UPLOAD, 0L);
    curl_easy_setopt(slot->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(slot->curl, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(slot->curl, CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(slot->curl, CURLOPT_HTTPHEADER, push->plain);
    curl_easy_setopt(slot->curl, CURLOPT_URL, url);
    curl_multi_add_handle(push->multi, slot->curl);
}

static void
slot_put(struct push *push, struct slot *slot)
{
    struct curl_header *location = NULL;
    if (curl_easy_header(slot->curl, "Location", 0, CURLH_HEADER, -1, &location) != CURLHE_OK) {
        fail(slot->blob->digest, "no Location");
    }
    char url[URL];
    snprintf(url, sizeof(url), "%s%sdigest=%s", location->value,
        strchr(location->value, '?') == NULL ? "?" : "&", slot->blob->digest);
    slot->fd = open(slot->blob->path, O_RDONLY | O_CLOEXEC);
    if (slot->fd < 0) {
        fail(slot->blob->path, "cannot be read");
    }
    slot->at = 0;
    slot->sending = true;
    curl_easy_setopt(slot->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(slot->curl, CURLOPT_INFILESIZE_LARGE, slot->blob->size);
    curl_easy_setopt(slot->curl, CURLOPT_URL, url);
    curl_multi_add_handle(push->multi, slot->curl);
}

static void
slot_finished(struct push *push, struct slot *slot, CURLcode code)
{
    curl_multi_remove_handle(push->multi, slot->curl);
    if (!slot->sending) {
        expect(slot->curl, code, 202, 202);
        slot_put(push, slot);
        return;
    }
    expect(slot->curl, code, 201, 201);
    close(slot->fd);
    if (push->next < push->end) {
        slot_post(push, slot);
    } else {
        push->running--;
    }
}

static void
send_blobs(struct push *push, struct slot *slots, size_t connections)
{
    for (size_t i = 0; i < connections && push->next < push->end; i++) {
        slot_post(push, &slots[i]);
        push->running++;
    }
    while (push->running > 0) {
        int active = 0;
        curl_multi_perform(push->multi, &active);
        int left = 0;
        for (CURLMsg *message; (message = curl_multi_info_read(push->multi, &left)) != NULL;) {
            struct slot *slot = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
            slot_finished(push, slot, message->data.result);
            active = 1; // something was added: perform before waiting
        }
        if (push->running > 0) {
            curl_multi_poll(push->multi, NULL, 0, active == 0 ? 0 : 1000, NULL);
        }
    }
}

/// One request on the multi handle, so that it shares the connections.
static void
send_one(struct push *push, CURL *curl, const char *path, long highest)
{
    char url[URL];
    snprintf(url, sizeof(url), "%s/%s", push->base, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_multi_add_handle(push->multi, curl);
    int active = 1;
    while (active > 0) {
        curl_multi_perform(push->multi, &active);
        if (active > 0) {
            curl_multi_poll(push->multi, NULL, 0, 1000, NULL);
        }
    }
    int left = 0;
    CURLMsg *message = curl_multi_info_read(push->multi, &left);
    curl_multi_remove_handle(push->multi, curl);
    expect(curl, message == NULL ? CURLE_RECV_ERROR : message->data.result, 200, highest);
}

static void
ask(struct push *push, bool head, const char *path)
{
    CURL *curl = handle_new(NULL);
    struct curl_slist *accept =
        curl_slist_append(NULL, "Accept: application/vnd.oci.image.manifest.v1+json, "
                                "application/vnd.docker.distribution.manifest.v2+json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, accept);
    curl_easy_setopt(curl, CURLOPT_NOBODY, head ? 1L : 0L);
    send_one(push, curl, path, 200);
    curl_easy_cleanup(curl);
    curl_slist_free_all(accept);
}

static void
put(struct push *push, const char *path, const char *type, const char *file)
{
    struct slot slot = {.fd = open(file, O_RDONLY | O_CLOEXEC)};
    struct stat info;
    if (slot.fd < 0 || fstat(slot.fd, &info) != 0) {
        fail(file, "cannot be read");
    }
    char header[URL];
    snprintf(header, sizeof(header), "Content-Type: %s", type);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    headers = curl_slist_append(headers, "Expect:");
    CURL *curl = handle_new(&slot);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)info.st_size);
    send_one(push, curl, path, 201);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    close(slot.fd);
}

static char **
step_after(char **step)
{
    bool long_step = strcmp(*step, "blob") == 0 || strcmp(*step, "put") == 0;
    for (int i = 0; i < (long_step ? 4 : 2); i++) {
        if (step[i] == NULL) {
            fail(*step, "is not whole");
        }
    }
    return step + (long_step ? 4 : 2);
}

static void
run_steps(struct push *push, char **steps, struct blob *blobs, size_t connections)
{
    size_t count = 0;
    for (char **at = steps; *at != NULL; at = step_after(at)) {
        if (strcmp(*at, "blob") == 0) {
            blobs[count++] = (struct blob){at[1], at[3], (curl_off_t)strtoll(at[2], NULL, 10)};
        } else if (strcmp(*at, "put") != 0) {
            ask(push, strcmp(*at, "head") == 0, at[1]);
        }
    }
    struct slot slots[SLOTS] = {0};
    for (size_t i = 0; i < connections && i < count; i++) {
        slots[i].curl = handle_new(&slots[i]);
    }
    push->next = blobs;
    push->end = blobs + count;
    send_blobs(push, slots, connections);
    for (char **at = steps; *at != NULL; at = step_after(at)) {
        if (strcmp(*at, "put") == 0) {
            put(push, at[1], at[2], at[3]);
        }
    }
    for (size_t i = 0; i < connections && i < count; i++) {
        curl_easy_cleanup(slots[i].curl);
    }
}

int
main(int argc, char **argv)
{
    size_t connections = argc < 4 ? 0 : strtoul(argv[2], NULL, 10);
    if (connections == 0 || connections > SLOTS) {
        fputs("usage: push_floor BASE_URL/v2/REPOSITORY CONNECTIONS STEP...\n", stderr);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct push push = {.base = argv[1], .multi = curl_multi_init()};
    push.plain = curl_slist_append(NULL, "Expect:");
    struct blob *blobs = calloc((size_t)argc, sizeof(*blobs));
    if (blobs == NULL) {
        fail("blobs", "no memory");
    }
    run_steps(&push, argv + 3, blobs, connections);
    curl_slist_free_all(push.plain);
    curl_multi_cleanup(push.multi);
    free(blobs);
    return 0;
}
