"""`modtrans bench`: how fast translators train and translate, against how well they translate.

task        the pairs, with a known optimum where they are synthetic
contenders  any method by the name of a preset; peers holds published networks of other libraries
measure     the time of a call, and what it asks of the device
run         profiles, and the rounds of a run, kept in one JSON file that an interrupted run goes on from
report      one row a contender, ratios, requirements, and all of it as text
"""
