// libpq, loaded when a database of PostgreSQL is opened (docs/decisions/0013). Sources include this
// instead of its header, and call its functions by their own names.
#pragma once

#include <libpq-fe.h>

#include "dispatcher/error.h"

#define LIBPQ_FUNCTIONS                                                                            \
    LIBPQ_FUNCTION(PQbackendPID)                                                                   \
    LIBPQ_FUNCTION(PQclear)                                                                        \
    LIBPQ_FUNCTION(PQcmdStatus)                                                                    \
    LIBPQ_FUNCTION(PQcmdTuples)                                                                    \
    LIBPQ_FUNCTION(PQconnectdbParams)                                                              \
    LIBPQ_FUNCTION(PQconninfoFree)                                                                 \
    LIBPQ_FUNCTION(PQconninfoParse)                                                                \
    LIBPQ_FUNCTION(PQconsumeInput)                                                                 \
    LIBPQ_FUNCTION(PQenterPipelineMode)                                                            \
    LIBPQ_FUNCTION(PQerrorMessage)                                                                 \
    LIBPQ_FUNCTION(PQexecParams)                                                                   \
    LIBPQ_FUNCTION(PQexecPrepared)                                                                 \
    LIBPQ_FUNCTION(PQexitPipelineMode)                                                             \
    LIBPQ_FUNCTION(PQfinish)                                                                       \
    LIBPQ_FUNCTION(PQfreemem)                                                                      \
    LIBPQ_FUNCTION(PQgetResult)                                                                    \
    LIBPQ_FUNCTION(PQgetisnull)                                                                    \
    LIBPQ_FUNCTION(PQgetvalue)                                                                     \
    LIBPQ_FUNCTION(PQhostaddr)                                                                     \
    LIBPQ_FUNCTION(PQinitOpenSSL)                                                                  \
    LIBPQ_FUNCTION(PQnotifies)                                                                     \
    LIBPQ_FUNCTION(PQntuples)                                                                      \
    LIBPQ_FUNCTION(PQparameterStatus)                                                              \
    LIBPQ_FUNCTION(PQpipelineSync)                                                                 \
    LIBPQ_FUNCTION(PQprepare)                                                                      \
    LIBPQ_FUNCTION(PQresultErrorField)                                                             \
    LIBPQ_FUNCTION(PQresultStatus)                                                                 \
    LIBPQ_FUNCTION(PQsendQueryParams)                                                              \
    LIBPQ_FUNCTION(PQsendQueryPrepared)                                                            \
    LIBPQ_FUNCTION(PQserverVersion)                                                                \
    LIBPQ_FUNCTION(PQsetNoticeProcessor)                                                           \
    LIBPQ_FUNCTION(PQsocket)                                                                       \
    LIBPQ_FUNCTION(PQstatus)                                                                       \
    LIBPQ_FUNCTION(PQtransactionStatus)

struct postgres_library {
#define LIBPQ_FUNCTION(name) __typeof__(&(name)) name;
    LIBPQ_FUNCTIONS
#undef LIBPQ_FUNCTION
};

// Written once, by postgres_library_load, and then only read: as constant as the functions
// themselves.
extern struct postgres_library postgres_library;

/// ERROR_STORAGE with the package to install when it is not there. Thread-safe.
NODISCARD struct error *postgres_library_load(void);

// Function-like, so that the names above are still names. One that is missing here does not link,
// one that is missing above does not compile.
#define PQbackendPID(...) postgres_library.PQbackendPID(__VA_ARGS__)
#define PQclear(...) postgres_library.PQclear(__VA_ARGS__)
#define PQcmdStatus(...) postgres_library.PQcmdStatus(__VA_ARGS__)
#define PQcmdTuples(...) postgres_library.PQcmdTuples(__VA_ARGS__)
#define PQconnectdbParams(...) postgres_library.PQconnectdbParams(__VA_ARGS__)
#define PQconninfoFree(...) postgres_library.PQconninfoFree(__VA_ARGS__)
#define PQconninfoParse(...) postgres_library.PQconninfoParse(__VA_ARGS__)
#define PQconsumeInput(...) postgres_library.PQconsumeInput(__VA_ARGS__)
#define PQenterPipelineMode(...) postgres_library.PQenterPipelineMode(__VA_ARGS__)
#define PQerrorMessage(...) postgres_library.PQerrorMessage(__VA_ARGS__)
#define PQexecParams(...) postgres_library.PQexecParams(__VA_ARGS__)
#define PQexecPrepared(...) postgres_library.PQexecPrepared(__VA_ARGS__)
#define PQexitPipelineMode(...) postgres_library.PQexitPipelineMode(__VA_ARGS__)
#define PQfinish(...) postgres_library.PQfinish(__VA_ARGS__)
#define PQfreemem(...) postgres_library.PQfreemem(__VA_ARGS__)
#define PQgetResult(...) postgres_library.PQgetResult(__VA_ARGS__)
#define PQgetisnull(...) postgres_library.PQgetisnull(__VA_ARGS__)
#define PQgetvalue(...) postgres_library.PQgetvalue(__VA_ARGS__)
#define PQhostaddr(...) postgres_library.PQhostaddr(__VA_ARGS__)
#define PQinitOpenSSL(...) postgres_library.PQinitOpenSSL(__VA_ARGS__)
#define PQnotifies(...) postgres_library.PQnotifies(__VA_ARGS__)
#define PQntuples(...) postgres_library.PQntuples(__VA_ARGS__)
#define PQparameterStatus(...) postgres_library.PQparameterStatus(__VA_ARGS__)
#define PQpipelineSync(...) postgres_library.PQpipelineSync(__VA_ARGS__)
#define PQprepare(...) postgres_library.PQprepare(__VA_ARGS__)
#define PQresultErrorField(...) postgres_library.PQresultErrorField(__VA_ARGS__)
#define PQresultStatus(...) postgres_library.PQresultStatus(__VA_ARGS__)
#define PQsendQueryParams(...) postgres_library.PQsendQueryParams(__VA_ARGS__)
#define PQsendQueryPrepared(...) postgres_library.PQsendQueryPrepared(__VA_ARGS__)
#define PQserverVersion(...) postgres_library.PQserverVersion(__VA_ARGS__)
#define PQsetNoticeProcessor(...) postgres_library.PQsetNoticeProcessor(__VA_ARGS__)
#define PQsocket(...) postgres_library.PQsocket(__VA_ARGS__)
#define PQstatus(...) postgres_library.PQstatus(__VA_ARGS__)
#define PQtransactionStatus(...) postgres_library.PQtransactionStatus(__VA_ARGS__)
