"""The same keyed, windowed ONNX job on Nervure and on other stream engines, each a program by itself.

job      the job in words, its messages, its reference in plain numpy, and the check
seat     what the programs share: standard library, numpy and ONNX Runtime only
peer     the engines' packages with their versions, each in an environment of its own
turn     one turn of one program: processor time of all its processes, from "go" to the last score
on_*     the programs, one an engine; `on_nervure` and `on_node` are ours
bench    the turns, the rows and the notes
"""
