// Prepares a request, and prints its plan or drives it, with the progress and the report of
// deploy_ui.
#include "deploy_drive.h"

#include "deploy_reports.h"
#include "dispatcher/memory.h"

static struct error *
prepare(struct cli *cli, const struct deploy_drive *drive, struct deploy_session *session,
    struct deployment **out)
{
    struct error *err =
        deploy_prepare(session->context, drive->request, session->arena, session->diagnostics, out);
    return err != NULL ? deploy_session_explain(cli, session, error_wrap(err, "%s", drive->what))
                       : NULL;
}

static void
print_plan(struct cli *cli, const struct deployment *deployment, bool json)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    if (json) {
        struct json *object CLEANUP(json_freep) = deployment_encode(deployment);
        json_print(object, true, &text);
        buf_putc(&text, '\n');
    } else {
        deploy_plan_text(deployment, &text);
    }
    cli_out(cli, buf_str(&text));
}

static struct error *
plan(struct cli *cli, const struct deploy_drive *drive)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deployment *deployment = NULL;
    TRY(deploy_session_open(cli, NULL, false, &session));
    TRY(prepare(cli, drive, &session, &deployment));
    print_plan(cli, deployment, drive->json);
    return NULL;
}

struct error *
deploy_drive(struct cli *cli, const struct deploy_drive *drive, int *exit_code)
{
    if (drive->dry_run) {
        return plan(cli, drive);
    }
    struct deploy_ui *ui CLEANUP(deploy_ui_freep) = deploy_ui_new(cli, drive->json);
    struct deploy_observer observer = deploy_ui_observer(ui);
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deployment *deployment = NULL;
    TRY(deploy_session_open(cli, &observer, cli->terminal && !drive->json, &session));
    TRY(prepare(cli, drive, &session, &deployment));
    struct deploy_reports *reports CLEANUP(deploy_reports_freep) =
        deploy_reports_start(cli, &session, deployment, drive->json);
    struct error *err = deploy_run(session.context, deployment, session.arena);
    if (err != NULL) {
        return error_wrap(err, "%s", drive->what);
    }
    deploy_ui_result(ui, deployment);
    deploy_reports_finish(reports, deployment);
    *exit_code = (int)deployment->exit_code;
    return NULL;
}
