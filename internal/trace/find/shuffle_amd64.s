#include "textflag.h"

// func shuffleAVX2(b *byte, n int, t *tables) (at int, mask uint32)
//
// Y0 to Y5 hold the tables of the lower and upper halves of the three bytes. Of 32 places each byte's halves look their
// buckets up; what the six answers have in common is not zero where a window may begin.
TEXT ·shuffleAVX2(SB), NOSPLIT, $0-36
	MOVQ         b+0(FP), SI
	MOVQ         n+8(FP), CX
	MOVQ         t+16(FP), DI
	MOVQ         192(DI), R8
	MOVQ         200(DI), R9
	ADDQ         SI, R8
	ADDQ         SI, R9
	VMOVDQU      0(DI), Y0
	VMOVDQU      32(DI), Y1
	VMOVDQU      64(DI), Y2
	VMOVDQU      96(DI), Y3
	VMOVDQU      128(DI), Y4
	VMOVDQU      160(DI), Y5
	MOVQ         $0x0f0f0f0f0f0f0f0f, AX
	MOVQ         AX, X15
	VPBROADCASTQ X15, Y15
	VPXOR        Y14, Y14, Y14
	XORQ         AX, AX

next:
	CMPQ    AX, CX
	JGE     none
	VMOVDQU (SI)(AX*1), Y6
	VMOVDQU (R8)(AX*1), Y8
	VMOVDQU (R9)(AX*1), Y10
	VPSRLW  $4, Y6, Y7
	VPSRLW  $4, Y8, Y9
	VPSRLW  $4, Y10, Y11
	VPAND   Y15, Y6, Y6
	VPAND   Y15, Y7, Y7
	VPAND   Y15, Y8, Y8
	VPAND   Y15, Y9, Y9
	VPAND   Y15, Y10, Y10
	VPAND   Y15, Y11, Y11
	VPSHUFB Y6, Y0, Y6
	VPSHUFB Y7, Y1, Y7
	VPSHUFB Y8, Y2, Y8
	VPSHUFB Y9, Y3, Y9
	VPSHUFB Y10, Y4, Y10
	VPSHUFB Y11, Y5, Y11
	VPAND   Y6, Y7, Y6
	VPAND   Y8, Y9, Y8
	VPAND   Y10, Y11, Y10
	VPAND   Y6, Y8, Y6
	VPAND   Y6, Y10, Y6
	VPTEST  Y6, Y6
	JNZ     found
	ADDQ    $32, AX
	JMP     next

found:
	VPCMPEQB  Y14, Y6, Y6 // ones where nothing is left
	VPMOVMSKB Y6, DX
	NOTL      DX
	VZEROUPPER
	MOVQ      AX, at+24(FP)
	MOVL      DX, mask+32(FP)
	RET

none:
	VZEROUPPER
	MOVQ AX, at+24(FP)
	MOVL $0, mask+32(FP)
	RET
