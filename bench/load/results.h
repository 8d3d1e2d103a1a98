/* One JSON object on one line. */
#ifndef RESULTS_H
#define RESULTS_H
void result_text(const char *name, const char *value);
void result_number(const char *name, double value);
void result_quantiles(void);
void results_print(void);
#endif
