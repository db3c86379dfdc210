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

  private def spec(classifier: NetworkClassifier): JObject = classifier.strategySpec(workers = 2)

  test("nothing is compressed unless it is asked for") {
    val classifier = new NetworkClassifier()
    assert((spec(classifier) \ "compression") === JNothing)
    assert((spec(classifier.setCompression("none")) \ "compression") === JNothing)
  }

  test("a compression reaches the strategy's specification with its options") {
    val half = spec(new NetworkClassifier().setCompression("bf16").setCompressPull(true))
    assert((half \ "compression") === JObject("name" -> JString("bf16")))
    assert((half \ "compressPull") === JBool(true))
    val topk = new NetworkClassifier().setStrategy("aeasgd").setCompression("topk")
    assert((spec(topk) \ "compression" \ "name") === JString("topk"))
    assert((spec(topk) \ "compression" \ "ratio") === JDouble(0.01))
    assert((spec(topk.setCompressionRatio(0.2)) \ "compression" \ "ratio") === JDouble(0.2))
  }

  test("names and numbers are checked when they are set") {
    refused("unknown compression 'zip'; use one of none, bf16, f16, int8, topk")(
      new NetworkClassifier().setCompression("zip")
    )
    for (ratio <- Seq(0.0, -1.0, 1.5, Double.NaN))
      refused(s"compressionRatio must be a number above 0 and at most 1, not $ratio")(
        new NetworkClassifier().setCompressionRatio(ratio)
      )
  }

  test("an option of another compression is refused") {
    refused("compressionRatio applies to the compression 'topk', not to 'int8'")(
      spec(new NetworkClassifier().setCompression("int8").setCompressionRatio(0.1))
    )
    refused("compressionRatio applies to the compression 'topk', not to 'none'")(
      spec(new NetworkClassifier().setCompressionRatio(0.1))
    )
    refused("compressPull needs the compression 'bf16' or 'f16', not 'int8'")(
      spec(new NetworkClassifier().setCompression("int8").setCompressPull(true))
    )
  }

  test("strategies that send replicas are not compressed, and elastic ones only one way") {
    for (strategy <- Seq("single", "averaging", "ensemble", "easgd"))
      refused(s"the strategy '$strategy' has no compression")(
        spec(new NetworkClassifier().setStrategy(strategy).setCompression("bf16"))
      )
    val eamsgd = new NetworkClassifier().setStrategy("eamsgd").setCompression("bf16")
    refused("the strategy 'eamsgd' has no compressPull")(spec(eamsgd.setCompressPull(true)))
  }
}
