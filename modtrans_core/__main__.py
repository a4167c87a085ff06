from modtrans_core.cli import main

main()
