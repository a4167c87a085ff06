"""`modtrans bench`: how fast translators train and translate, against how well they translate.

The machine's own limits come first, then every contender is measured in turn, round after round, so that a busy
machine slows all of them alike and the ratios of one round can be trusted where absolute times cannot.

    settings      sizes and lengths of a run, three profiles of them
    task          the pairs, with a known optimum where they are synthetic
    machine       matrix rate, memory bandwidth, name of the device; timing of a call
    contender     the shape of a contender: one that learns by gradient steps, and one in closed form
    ours, peers   the contenders
    linear_fit    LinearMap against scikit-learn's Ridge
    streamed      a linear fit in one pass over pairs that are never all in memory
    scale         training at the size of COCO's captions, on a GPU
    record        what was measured, as one JSON file that an interrupted run goes on from
    jobs, measure what is measured and in which order; one measurement after another, with the time left
    run           one run, from settings to a file and a figure
    summary, text one row a contender, and the requirements: reached, or not and why
"""
