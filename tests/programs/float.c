/* Floating point by SSE2 and by the x87: constants, conversions, the four rounding modes, special values. */
/* SPDX-License-Identifier: MIT */
#include <fenv.h>
#include <math.h>
#include <stdio.h>

static const struct {
    int mode;
    const char *name;
} modes[] = {
    {FE_TONEAREST, "nearest"},
    {FE_DOWNWARD, "down"},
    {FE_UPWARD, "up"},
    {FE_TOWARDZERO, "zero"},
};

/* Volatile, so that the machine computes, not the compiler. */
static volatile double one = 1, three = 3, tiny = 4.9e-324, zero = 0;
static volatile long double long_one = 1, long_three = 3;
static volatile float float_one = 1, float_three = 3;

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines, or the kernel's own could come between */
    double sum = 0;
    long double long_sum = 0;

    for (int i = 1; i <= 1000; i++) {
        sum += one / i;
        long_sum += long_one / i;
    }
    printf("harmonic sum %.17g, by x87 %.20Lg\n", sum, long_sum);
    printf("sqrt %.17g, by x87 %.20Lg\n", sqrt(three - one), sqrtl(long_three - 1));
    printf("sin %.15g, exp %.15g, atan2 %.15g\n", sin(three), exp(one), atan2(one, -three));
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        fesetround(modes[i].mode);
        /* Volatile again: the divisions must stay between the two calls of fesetround. */
        volatile double third = one / three, minus = -one / three;
        volatile long double long_third = long_one / long_three;
        volatile float float_third = float_one / float_three;
        long rounded = lrint(three / 2), rounded_minus = lrint(-three / 2);
        fesetround(FE_TONEAREST);
        printf("%s: %a %a %La %a %ld %ld\n", modes[i].name, third, minus, long_third, float_third, rounded,
               rounded_minus);
    }
    printf("special: %g %g %d %g\n", one / zero, -one / zero, isnan(zero / zero), tiny / 2);
    feclearexcept(FE_ALL_EXCEPT);
    sum = one / zero;
    printf("division by zero is flagged: %s\n", fetestexcept(FE_DIVBYZERO) ? "yes" : "no");
    printf("conversions: %d %ld %u %.1f\n", (int)(three * 7.9), (long)(-three * 1e15), (unsigned)(one * 4e9),
           (float)(one / 16));
    return sum > one ? 0 : 1;
}
