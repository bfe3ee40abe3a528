// A relay that makes a loopback connection look far away, and counts: each chunk is stamped when it
// was read and sent on half a round trip later, each way. What a client sends first waits a whole
// round trip more, as the handshake of a real connection would have taken it (the kernel accepts at
// once here). Bandwidth is not limited. One thread; it understands nothing of what passes.
//
// usage: delay_relay TARGET_PORT ROUND_TRIP_US COUNTERS
// Prints the port it listens on. COUNTERS is a file of three uint64_t: connections, bytes from
// clients, bytes to clients; always up to date.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 << 10, PAIRS = 512, QUEUE_CHUNKS = 1024 };

struct chunk {
    struct chunk *next;
    int64_t due;
    size_t from;
    size_t to;
    char data[CHUNK];
};

struct flow { // one direction of a connection
    int in;
    int out;
    struct chunk *head;
    struct chunk *tail;
    size_t queued;
    int64_t not_before;
    int64_t eof_due; // 0: still open, -1: passed on
    uint64_t *counter;
};

struct pair {
    bool used;
    struct flow up;
    struct flow down;
};

static struct pair pairs[PAIRS];
static struct chunk *spare;
static int64_t one_way;
static uint64_t *counters;

static int64_t
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct chunk *
chunk_take(void)
{
    struct chunk *chunk = spare;
    if (chunk != NULL) {
        spare = chunk->next;
    } else if ((chunk = malloc(sizeof(*chunk))) == NULL) {
        abort();
    }
    chunk->next = NULL;
    chunk->from = 0;
    chunk->to = 0;
    return chunk;
}

static void
chunk_give(struct chunk *chunk)
{
    chunk->next = spare;
    spare = chunk;
}

static void
flow_pop(struct flow *flow)
{
    struct chunk *chunk = flow->head;
    flow->head = chunk->next;
    flow->tail = flow->head == NULL ? NULL : flow->tail;
    flow->queued--;
    chunk_give(chunk);
}

static bool
would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int64_t
flow_stamp(const struct flow *flow)
{
    int64_t due = now() + one_way;
    return due > flow->not_before ? due : flow->not_before;
}

/// false: the connection is broken.
static bool
flow_read(struct flow *flow)
{
    struct chunk *chunk = chunk_take();
    ssize_t got = recv(flow->in, chunk->data, CHUNK, 0);
    if (got <= 0) {
        chunk_give(chunk);
        if (got < 0) {
            return would_block();
        }
        flow->eof_due = flow_stamp(flow);
        return true;
    }
    chunk->to = (size_t)got;
    chunk->due = flow_stamp(flow);
    *flow->counter += (uint64_t)got;
    if (flow->tail == NULL) {
        flow->head = chunk;
    } else {
        flow->tail->next = chunk;
    }
    flow->tail = chunk;
    flow->queued++;
    return true;
}

static bool
flow_write(struct flow *flow)
{
    int64_t time = now();
    while (flow->head != NULL && flow->head->due <= time) {
        struct chunk *chunk = flow->head;
        ssize_t sent =
            send(flow->out, chunk->data + chunk->from, chunk->to - chunk->from, MSG_NOSIGNAL);
        if (sent < 0) {
            return would_block();
        }
        chunk->from += (size_t)sent;
        if (chunk->from < chunk->to) {
            return true;
        }
        flow_pop(flow);
    }
    if (flow->head == NULL && flow->eof_due > 0 && flow->eof_due <= time) {
        shutdown(flow->out, SHUT_WR);
        flow->eof_due = -1;
    }
    return true;
}

static void
pair_close(struct pair *pair)
{
    while (pair->up.head != NULL) {
        flow_pop(&pair->up);
    }
    while (pair->down.head != NULL) {
        flow_pop(&pair->down);
    }
    close(pair->up.in);
    close(pair->down.in);
    *pair = (struct pair){0};
}

static struct sockaddr_in
loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void
prepare(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void
pair_open(int listener, uint16_t target)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    struct pair *pair = pairs;
    while (pair < pairs + PAIRS && pair->used) {
        pair++;
    }
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(target);
    if (pair == pairs + PAIRS || server < 0 ||
        connect(server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(client);
        close(server);
        return;
    }
    prepare(client);
    prepare(server);
    counters[0]++;
    int64_t handshake = one_way == 0 ? 0 : now() + 3 * one_way;
    *pair = (struct pair){.used = true,
        .up = {.in = client, .out = server, .not_before = handshake, .counter = &counters[1]},
        .down = {.in = server, .out = client, .counter = &counters[2]}};
}

/// What to wait for at `flow`'s ends; lowers *ret_due to when it has something to do next.
static void
flow_watch(const struct flow *flow, struct pollfd *in, struct pollfd *out, int64_t *ret_due)
{
    if (flow->eof_due == 0 && flow->queued < QUEUE_CHUNKS) {
        in->events |= POLLIN;
    }
    int64_t due = flow->head != NULL ? flow->head->due : flow->eof_due;
    if (due <= 0) {
        return;
    }
    if (flow->head != NULL && due <= now()) {
        out->events |= POLLOUT;
    } else if (*ret_due == 0 || due < *ret_due) {
        *ret_due = due;
    }
}

static void
pair_serve(struct pair *pair, const struct pollfd *client, const struct pollfd *server)
{
    bool fine = true;
    if ((client->revents & (POLLIN | POLLHUP | POLLERR)) != 0 && pair->up.eof_due == 0) {
        fine = flow_read(&pair->up);
    }
    if (fine && (server->revents & (POLLIN | POLLHUP | POLLERR)) != 0 && pair->down.eof_due == 0) {
        fine = flow_read(&pair->down);
    }
    fine = fine && flow_write(&pair->up) && flow_write(&pair->down);
    if (!fine || (pair->up.eof_due < 0 && pair->down.eof_due < 0)) {
        pair_close(pair);
    }
}

static void
serve_once(int listener, uint16_t target)
{
    static struct pollfd polls[1 + 2 * PAIRS];
    int64_t due = 0;
    polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < PAIRS; i++) {
        struct pollfd *ends = &polls[1 + 2 * i];
        ends[0] = (struct pollfd){.fd = -1};
        ends[1] = (struct pollfd){.fd = -1};
        if (pairs[i].used) {
            flow_watch(&pairs[i].up, &ends[0], &ends[1], &due);
            flow_watch(&pairs[i].down, &ends[1], &ends[0], &due);
            // An end that has nothing to say is left out: its hang-up would wake us without end.
            ends[0].fd = ends[0].events != 0 ? pairs[i].up.in : -1;
            ends[1].fd = ends[1].events != 0 ? pairs[i].down.in : -1;
        }
    }
    int64_t left = due == 0 ? 0 : due - now();
    left = left < 0 ? 0 : left;
    struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    ppoll(polls, 1 + 2 * PAIRS, due == 0 ? NULL : &wait, NULL);
    for (size_t i = 0; i < PAIRS; i++) {
        if (pairs[i].used) {
            pair_serve(&pairs[i], &polls[1 + 2 * i], &polls[2 + 2 * i]);
        }
    }
    if (polls[0].revents != 0) {
        pair_open(listener, target);
    }
}

static uint64_t *
map_counters(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, 3 * sizeof(uint64_t)) != 0) {
        return NULL;
    }
    void *map = mmap(NULL, 3 * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

int
main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: delay_relay TARGET_PORT ROUND_TRIP_US COUNTERS\n", stderr);
        return 2;
    }
    uint16_t target = (uint16_t)strtoul(argv[1], NULL, 10);
    one_way = (int64_t)strtoul(argv[2], NULL, 10) * 1000 / 2;
    counters = map_counters(argv[3]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof(address);
    if (counters == NULL || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, 256) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("delay_relay");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (true) {
        serve_once(listener, target);
    }
}
