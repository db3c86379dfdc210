package firesteel.params

import firesteel.classification.NetworkClassifier
import org.json4s.JsonAST.{JBool, JDouble, JNothing, JObject, JString}
import org.scalatest.funsuite.AnyFunSuite

final class CompressionParamsSuite extends AnyFunSuite {
  private def refused(text: String)(make: => Any): Unit = {
    val error = intercept[IllegalArgumentException](make)
    assert(error.getMessage.contains(text), error.getMessage)
    ()
  }

  test("nothing is compressed unless it is asked for") {
    assert((new NetworkClassifier().strategySpec(workers = 2) \ "compression") === JNothing)
    val none = new NetworkClassifier().setCompression("none")
    assert((none.strategySpec(workers = 2) \ "compression") === JNothing)
  }

  test("a compression reaches the strategy's specification with its options") {
    val half = new NetworkClassifier().setCompression("bf16").setCompressPull(true).strategySpec(workers = 2)
    assert((half \ "compression") === JObject("name" -> JString("bf16")))
    assert((half \ "compressPull") === JBool(true))
    val topk = new NetworkClassifier().setStrategy("aeasgd").setCompression("topk")
    def spec = topk.strategySpec(workers = 2) \ "compression"
    assert(spec === JObject("name" -> JString("topk"), "ratio" -> JDouble(0.01)))
    topk.setCompressionRatio(0.2)
    assert(spec === JObject("name" -> JString("topk"), "ratio" -> JDouble(0.2)))
  }

  test("names and numbers are checked when they are set") {
    refused("unknown compression 'zip'; known are none, bf16, f16, int8, topk")(
      new NetworkClassifier().setCompression("zip")
    )
    for (ratio <- Seq(0.0, -1.0, 1.5, Double.NaN)) {
      refused(s"compressionRatio must be a number above 0 and at most 1, not $ratio")(
        new NetworkClassifier().setCompressionRatio(ratio)
      )
    }
  }

  test("an option of another compression is refused") {
    refused("compressionRatio is an option of the compression 'topk', not of 'int8'")(
      new NetworkClassifier().setCompression("int8").setCompressionRatio(0.1).strategySpec(workers = 2)
    )
    refused("compressionRatio is an option of the compression 'topk', not of 'none'")(
      new NetworkClassifier().setCompressionRatio(0.1).strategySpec(workers = 2)
    )
    refused("compressPull needs the compression 'bf16' or 'f16', not 'int8'")(
      new NetworkClassifier().setCompression("int8").setCompressPull(true).strategySpec(workers = 2)
    )
  }

  test("strategies that send replicas are not compressed, and elastic ones only one way") {
    for (strategy <- Seq("single", "averaging", "ensemble", "easgd")) {
      refused(s"the strategy '$strategy' has no compression")(
        new NetworkClassifier().setStrategy(strategy).setCompression("bf16").strategySpec(workers = 2)
      )
    }
    refused("the strategy 'eamsgd' has no compressPull")(
      new NetworkClassifier()
        .setStrategy("eamsgd")
        .setCompression("bf16")
        .setCompressPull(true)
        .strategySpec(workers = 2)
    )
  }
}
