/* report.c: recall against speed, as a table of text and as one HTML page with curves in SVG.
 *
 * The page stands alone: no script, no font, nothing from the network. Recall runs to the right on a linear scale,
 * queries a second upwards on a logarithmic one, so up and right is better. Colours are Okabe and Ito's (2008), which
 * people with any colour vision tell apart; the table is the legend.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "cli.h"

static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#7f7f7f", "#8c510a"};
enum { COLOURS = sizeof colours / sizeof *colours };

/* The drawing area, in SVG units. */
enum { WIDTH = 860, HEIGHT = 460, LEFT = 70, RIGHT = 20, TOP = 15, BOTTOM = 50 };

static void print_escaped(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", file);
        else if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '>')
            fputs("&gt;", file);
        else if (*text == '"')
            fputs("&quot;", file);
        else
            fputc(*text, file);
    }
}

/* ---- The plot ------------------------------------------------------------------------------------------ */

typedef struct frame {
    double low_recall;           /* left edge; the right edge is 1 */
    double low_speed, top_speed; /* log10 */
} frame;

static double speed_of(const cli_point *point, bool all_threads)
{
    return all_threads ? point->all_threads : point->one_thread;
}

/* A little air around the points; recall from a whole tenth on. */
static frame find_frame(const cli_report *report, bool all_threads)
{
    frame found = {1, 99, -99};
    for (int i = 0; i < report->count; i++) {
        for (int j = 0; j < report->curves[i].count; j++) {
            const cli_point *point = &report->curves[i].points[j];
            double speed = log10(fmax(speed_of(point, all_threads), 1e-3));
            found.low_recall = fmin(found.low_recall, point->recall);
            found.low_speed = fmin(found.low_speed, speed);
            found.top_speed = fmax(found.top_speed, speed);
        }
    }
    found.low_recall = fmax(0, floor((found.low_recall - 0.02) * 10) / 10);
    found.low_speed -= 0.1;
    found.top_speed += 0.1;
    return found;
}

static double place_x(const frame *view, double recall)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (recall - view->low_recall) / (1.0 - view->low_recall);
}

static double place_y(const frame *view, double speed)
{
    double share = (log10(fmax(speed, 1e-3)) - view->low_speed) / (view->top_speed - view->low_speed);
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
}

/* Lines at 1, 2 and 5 of every decade. */
static void draw_speed_axis(FILE *file, const frame *view)
{
    static const int steps[] = {1, 2, 5};
    for (int decade = (int)floor(view->low_speed); decade <= view->top_speed; decade++) {
        for (int i = 0; i < 3; i++) {
            double speed = steps[i] * pow(10, decade), y = place_y(view, speed);
            if (log10(speed) < view->low_speed || log10(speed) > view->top_speed)
                continue;
            fprintf(file, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                    WIDTH - RIGHT, y, y);
            fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 8, y + 4);
            if (speed >= 1000)
                fprintf(file, "%gk</text>\n", speed / 1000);
            else
                fprintf(file, "%g</text>\n", speed);
        }
    }
}

static void draw_recall_axis(FILE *file, const frame *view, uint32_t k)
{
    double step = view->low_recall > 0.75 ? 0.05 : 0.1;
    for (int i = 0; 1 - i * step > view->low_recall - 1e-9; i++) {
        double recall = 1 - i * step, x = place_x(view, recall);
        fprintf(file, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP,
                HEIGHT - BOTTOM);
        fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.2f</text>\n", x,
                HEIGHT - BOTTOM + 18, recall);
    }
    fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">recall@%u</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, k);
    fprintf(
        file,
        "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">queries a second</text>\n",
        (TOP + HEIGHT - BOTTOM) / 2);
}

/* A line through the points, and a dot with its numbers as a tooltip at each. */
static void draw_curve(FILE *file, const frame *view, const cli_curve *curve, const char *colour,
                       bool all_threads)
{
    fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    for (int i = 0; i < curve->count; i++) {
        const cli_point *point = &curve->points[i];
        fprintf(file, "%.1f,%.1f ", place_x(view, point->recall),
                place_y(view, speed_of(point, all_threads)));
    }
    fputs("\"/>\n", file);
    for (int i = 0; i < curve->count; i++) {
        const cli_point *point = &curve->points[i];
        double speed = speed_of(point, all_threads);
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"><title>",
                place_x(view, point->recall), place_y(view, speed), curve->count == 1 ? 6 : 4, colour);
        print_escaped(file, curve->label);
        fprintf(file, ": effort %u, recall %.4f, %.0f queries a second</title></circle>\n", point->effort,
                point->recall, speed);
    }
}

static void draw_plot(FILE *file, const cli_report *report, bool all_threads)
{
    frame view = find_frame(report, all_threads);
    fprintf(file, "<h2>Recall and speed, %s</h2>\n", all_threads ? "all threads" : "one thread");
    fprintf(file, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"queries a second over recall\">\n",
            WIDTH, HEIGHT);
    draw_speed_axis(file, &view);
    draw_recall_axis(file, &view, report->k);
    for (int i = 0; i < report->count; i++)
        draw_curve(file, &view, &report->curves[i], colours[i % COLOURS], all_threads);
    fputs("</svg>\n<p>Up and right is better. Each dot is one effort; point at it for its numbers.</p>\n",
          file);
}

/* ---- The table ----------------------------------------------------------------------------------------- */

enum { COLUMNS = 7 }; /* of numbers; the last only with all_threads */
typedef char cells[COLUMNS][CLI_TEXT_BYTES];

static int column_count(const cli_report *report)
{
    return report->all_threads ? COLUMNS : COLUMNS - 1;
}

/* Titles and rows serve the table of text and that of the page. */
static void fill_titles(const cli_report *report, cells titles)
{
    static const char *const fixed[COLUMNS] = {"bytes/vector", "build s",  "",           "effort",
                                               "ms alone",     "queries/s", "all threads"};
    for (int i = 0; i < COLUMNS; i++)
        snprintf(titles[i], sizeof titles[i], "%s", fixed[i]);
    snprintf(titles[2], sizeof titles[2], "recall@%u", report->k);
}

static void fill_row(const cli_report *report, int row, cells numbers)
{
    const cli_curve *curve = &report->curves[row];
    const cli_point *point = cli_curve_at(curve, report->target);
    snprintf(numbers[0], CLI_TEXT_BYTES, "%.0f", curve->bytes_per_vector);
    snprintf(numbers[1], CLI_TEXT_BYTES, "%.2f", curve->build_seconds);
    snprintf(numbers[2], CLI_TEXT_BYTES, "%.4f", point->recall);
    snprintf(numbers[3], CLI_TEXT_BYTES, "%u", point->effort);
    snprintf(numbers[4], CLI_TEXT_BYTES, "%.3f", point->alone_ms);
    cli_grouped((int64_t)point->one_thread, numbers[5]);
    cli_grouped((int64_t)point->all_threads, numbers[6]);
}

static void print_explanation(const cli_report *report, FILE *file)
{
    fprintf(file,
            "Each row is the first effort whose recall reaches %.2f, or else the best recall. Recall is the "
            "share\n"
            "of the %u true nearest, by exact search, that the index found. \"ms alone\" is a query in a "
            "call of\n"
            "its own, \"queries/s\" all queries in one call, both on one thread. Memory is all the index "
            "holds.\n",
            report->target, report->k);
}

void cli_report_table(const cli_report *report, FILE *file)
{
    cells row;
    cli_table table;
    int columns = column_count(report);
    cli_table_begin(&table, report->all_threads ? "lrrrrrrr" : "lrrrrrr", NULL);
    fill_titles(report, row);
    for (int i = -1; i < report->count; i++) {
        if (i >= 0)
            fill_row(report, i, row);
        cli_table_cell(&table, "%s", i < 0 ? "index" : report->curves[i].label);
        for (int j = 0; j < columns; j++)
            cli_table_cell(&table, "%s", row[j]);
    }
    cli_table_print(&table, file);
    fputc('\n', file);
    print_explanation(report, file);
}

static void html_cells(FILE *file, const char *tag, cells row, int columns)
{
    for (int i = 0; i < columns; i++)
        fprintf(file, "<%s>%s</%s>", tag, row[i], tag);
    fputs("</tr>\n", file);
}

static void html_table(FILE *file, const cli_report *report)
{
    cells row;
    fill_titles(report, row);
    fputs("<table>\n<tr><th>index</th>", file);
    html_cells(file, "th", row, column_count(report));
    for (int i = 0; i < report->count; i++) {
        fprintf(file, "<tr><td><svg class=\"key\" viewBox=\"0 0 10 10\"><circle cx=\"5\" cy=\"5\" r=\"5\" "
                      "fill=\"%s\"/></svg> ", colours[i % COLOURS]);
        print_escaped(file, report->curves[i].label);
        fputs("<br><code>", file);
        print_escaped(file, report->curves[i].spec);
        fputs("</code></td>", file);
        fill_row(report, i, row);
        html_cells(file, "td", row, column_count(report));
    }
    fputs("</table>\n<p>", file);
    print_explanation(report, file);
    fputs("</p>\n", file);
}

/* ---- The page ------------------------------------------------------------------------------------------ */

static const char style[] =
    ":root{color-scheme:light dark;--line:#8886}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid var(--line);padding:.35rem .6rem;text-align:right;vertical-align:top}"
    "th:first-child,td:first-child{text-align:left}"
    "code{font-size:.8rem;opacity:.75}"
    "svg{width:100%;height:auto}svg.key{width:.75em}"
    "svg text{font-size:13px;fill:currentColor}.grid{stroke:var(--line)}";

static void write_page(FILE *file, const cli_report *report)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>", file);
    print_escaped(file, report->title);
    fprintf(file, "</title>\n<style>%s</style>\n<h1>", style);
    print_escaped(file, report->title);
    fputs("</h1>\n<p>", file);
    print_escaped(file, report->lead);
    fputs("</p>\n", file);
    draw_plot(file, report, false);
    if (report->all_threads)
        draw_plot(file, report, true);
    html_table(file, report);
    fputs("<p><code>", file);
    print_escaped(file, sonde_build_info());
    fputs("</code></p>\n</html>\n", file);
}

int cli_report_write(const char *path, const cli_report *report)
{
    cli_output output;
    int code = cli_output_open(path, &output);
    if (code)
        return code;
    write_page(output.file, report);
    return cli_output_commit(&output);
}
