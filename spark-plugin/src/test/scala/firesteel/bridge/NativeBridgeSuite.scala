package firesteel.bridge

import org.scalatest.{Assertion, BeforeAndAfterAll}
import org.scalatest.funsuite.AnyFunSuite

class NativeBridgeSuite extends AnyFunSuite with BeforeAndAfterAll {

  override protected def beforeAll(): Unit = NativeLibrary.ensureLoaded()

  test("every code comes out of native code as the exception of the table, with its text") {
    (1 to 17).foreach { code =>
      val error = intercept[RuntimeException](NativeRuntime.selfTest(code, s"text ü 😀 {$code}"))
      assert(error.getClass == NativeErrors.create(code, "").getClass)
      assert(error.getMessage.endsWith(s"text ü 😀 {$code}"))
    }
  }

  test("the text of a Rust panic arrives, and native code goes on working") {
    val error = intercept[NativePanicException] {
      NativeRuntime.selfTest(NativePanicException.CODE, "index 5 of 3")
    }
    assert(error.getMessage == "Rust panic: index 5 of 3")
    assert(NativeRuntime.describe().contains("version"))
  }

  test("a self-test with an unknown code or no text is an error itself") {
    assert(
      intercept[InternalException](NativeRuntime.selfTest(0, "")).getMessage.contains("code 0")
    )
    assert(
      intercept[InternalException](NativeRuntime.selfTest(1, null)).getMessage.contains("null")
    )
  }

  test("every native refuses an id that is not open, without harm") {
    for (id <- Seq(0L, 987654321L, Long.MinValue)) {
      def refused(name: String)(call: => Any): Assertion = {
        val message = intercept[InternalException](call).getMessage
        assert(message == s"no $name is open as $id")
      }
      refused("parameter server")(NativeBridge.serverStatus(id))
      refused("parameter server")(NativeBridge.serverSummary(id))
      refused("parameter server")(NativeBridge.serverWeights(id))
      refused("parameter server")(NativeBridge.serverAttemptEnded(id, 0, 0))
      refused("worker")(NativeBridge.workerRun(id, -1))
      refused("worker")(NativeBridge.workerAbort(id, 2, "bad row"))
      refused("predictor")(NativeBridge.predictorRun(id, 0, 0, 0, 0))
      NativeBridge.workerCancel(id)
      NativeBridge.workerClose(id)
      NativeBridge.serverClose(id)
      NativeBridge.predictorClose(id)
    }
  }

  test("a stream or batch at no address is refused") {
    assert(intercept[InternalException](NativeBridge.workerLoad(1, 0)).getMessage.contains("0x0"))
    assert(intercept[InternalException](NativeBridge.workerLoad(1, 3)).getMessage.contains("0x3"))
  }

  test("a document that is not what its native expects is refused with its name and its fault") {
    def refusal(call: => Any): String = intercept[InvalidSpecException](call).getMessage
    assert(refusal(NativeServer.open("{}", null)).startsWith("server specification: missing field"))
    assert(refusal(NativeWorker.open("no JSON")).startsWith("worker specification: expected"))
    val fit = new SmallFit(1)
    val extra = fit.worker(1).replaceFirst("\"threads\"", "\"treads\": 2, \"threads\"")
    assert(refusal(NativeWorker.open(extra)).contains("unknown field `treads`"))
    assert(
      refusal(NativePredictor.open("[]", () => Array.empty[Byte]))
        .startsWith("predictor specification:")
    )
    assert(refusal(NativeRuntime.inspect("{}")).startsWith("network to inspect: missing field"))
  }

  test("a network is inspected without training, and one that does not fit names its layer") {
    val inspection = NativeRuntime.inspect(new SmallFit(1).inspection)
    assert(inspection.contains("\"parameters\":42")) // 2 * 8 + 8 + 8 * 2 + 2
    val error = intercept[InvalidSpecException] {
      NativeRuntime.inspect(new SmallFit(1).inspection.replace("\"ReLU\"", "\"RelU\""))
    }
    assert(error.getMessage.contains("RelU"))
  }

  test("the counters have the order of NativeMetrics") {
    assert(NativeBridge.metrics().length == classOf[NativeMetrics].getRecordComponents.length)
    val bits = Seq(3.5, 0.25).map(java.lang.Double.doubleToLongBits)
    val metrics = NativeMetrics.of(Array[Long](1, 2, 3, 4, 5, 6, 7) ++ bits)
    assert(metrics == new NativeMetrics(1, 2, 3, 4, 5, 6, 7, 3.5, 0.25))
    assert(new NativeMetrics(4, 0, 0, 0, 6, 3, 0, 1, 0).stalenessMean == 1.5)
    assert(NativeMetrics.NONE.stalenessMean == 0)
  }
}
