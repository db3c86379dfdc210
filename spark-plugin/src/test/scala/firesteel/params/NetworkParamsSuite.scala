package firesteel.params

import firesteel.classification.NetworkClassifier
import firesteel.data.ValidationRows
import firesteel.network._
import org.apache.spark.ml.param.{ParamMap, ParamPair, ParamsSuite}
import org.json4s.JsonAST.{JArray, JBool, JDouble, JInt, JNothing, JNull, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods.{compact, parse, render}
import org.scalatest.funsuite.AnyFunSuite

final class NetworkParamsSuite extends AnyFunSuite {
  private def refused(text: String)(make: => Any): Unit = {
    val error = intercept[IllegalArgumentException](make)
    assert(error.getMessage.contains(text), error.getMessage)
    ()
  }

  private val network = Network.sequential(Linear(3), Softmax)

  test("the parameters are as Spark wants them") {
    ParamsSuite.checkParams(new NetworkClassifier)
    ParamsSuite.checkParams(new NetworkClassifier().setNetwork(network))
  }

  test("every parameter explains itself") {
    val explained = new NetworkClassifier().explainParams()
    Seq("network", "strategy", "window", "numWorkers", "optimizer", "learningRate", "batchSize")
      .foreach(name => assert(explained.contains(s"$name: ")))
  }

  test("a copy keeps what is set, also the network") {
    val classifier = new NetworkClassifier().setNetwork(network).setWindow(3).setAlpha(0.9)
    val copy = classifier.copy(ParamMap(classifier.epochs -> 7))
    assert(copy.getNetwork === network)
    assert(copy.getWindow === 3)
    assert(copy.getEpochs === 7)
    assert(copy.getOrDefault(copy.alpha) === 0.9)
  }

  test("the network is set as such or as JSON, and kept as the JSON that it writes") {
    val classifier = new NetworkClassifier
    Seq(
      ParamMap(classifier.network -> network),
      ParamMap(classifier.network -> network.toPrettyJson)
    )
      .foreach { map =>
        val copy = classifier.copy(map)
        assert(copy.getNetwork === network)
        assert(copy.getOrDefault(copy.network) === network.toJson)
      }
    refused("it is not JSON")(ParamMap(classifier.network -> "Linear"))
    refused("it has no 'format'")(ParamPair(classifier.network, "{}"))
  }

  /** Weights whose JSON has more characters than Jackson reads in one string. */
  private val large = {
    val file = new Array[Byte](16 << 20)
    file(0) = 2
    file(8) = '{'
    file(9) = '}'
    network.withWeights(file)
  }

  test("the network survives as JSON, with any number of weights") {
    val param = new NetworkClassifier().network
    Seq(network, large).foreach { kept =>
      val json = param.jsonEncode(kept.toJson)
      assert(param.jsonDecode(compact(parse(json))) === kept.toJson)
      assert(Network.fromJson(param.jsonDecode(json)) === kept)
    }
    refused("the saved parameter network is not a string")(param.jsonDecode("3"))
  }

  test("a parameter's explanation does not show weights") {
    val explained = new NetworkClassifier().setNetwork(large).explainParams()
    assert(explained.contains("Linear, Softmax"))
    assert(explained.contains("16777216 bytes of weights"))
    assert(explained.length < 20000)
  }

  test("the seed's default is a constant of the class") {
    assert(new NetworkClassifier().getSeed === classOf[NetworkClassifier].getName.hashCode.toLong)
  }

  test("an optimizer's options have PyTorch's defaults") {
    val classifier = new NetworkClassifier()
    def spec(name: String): Map[String, Any] =
      classifier
        .setOptimizer(name)
        .optimizerSpec
        .obj
        .map {
          case (option, JDouble(value)) => option -> value
          case (option, JBool(value)) => option -> value
          case (option, JString(value)) => option -> value
          case other => fail(other.toString)
        }
        .toMap
    val adam = Map[String, Any](
      "name" -> "adam",
      "learningRate" -> 1e-3,
      "beta1" -> 0.9,
      "beta2" -> 0.999,
      "epsilon" -> 1e-8,
      "weightDecay" -> 0.0,
      "amsgrad" -> false
    )
    assert(spec("adam") === adam)
    assert(spec("adamw") === adam ++ Map[String, Any]("name" -> "adamw", "weightDecay" -> 0.01))
    assert(
      spec("adamax") === adam - "amsgrad" ++ Map[String, Any](
        "name" -> "adamax",
        "learningRate" -> 2e-3
      )
    )
    assert(
      spec("nadam") === adam - "amsgrad" ++
        Map[String, Any]("name" -> "nadam", "learningRate" -> 2e-3, "momentumDecay" -> 4e-3)
    )
    assert(
      spec("sgd") === Map[String, Any](
        "name" -> "sgd",
        "learningRate" -> 1e-3,
        "momentum" -> 0.0,
        "dampening" -> 0.0,
        "nesterov" -> false,
        "weightDecay" -> 0.0
      )
    )
    assert(
      spec("rmsprop") === Map[String, Any](
        "name" -> "rmsprop",
        "learningRate" -> 1e-2,
        "alpha" -> 0.99,
        "epsilon" -> 1e-8,
        "weightDecay" -> 0.0,
        "momentum" -> 0.0,
        "centered" -> false
      )
    )
    assert(
      spec("adagrad") === Map[String, Any](
        "name" -> "adagrad",
        "learningRate" -> 1e-2,
        "learningRateDecay" -> 0.0,
        "epsilon" -> 1e-10,
        "weightDecay" -> 0.0,
        "initialAccumulator" -> 0.0
      )
    )
    assert(
      spec("adadelta") === Map[String, Any](
        "name" -> "adadelta",
        "learningRate" -> 1.0,
        "rho" -> 0.9,
        "epsilon" -> 1e-6,
        "weightDecay" -> 0.0
      )
    )
  }

  test("an option that is set takes the place of its default") {
    val spec = new NetworkClassifier()
      .setOptimizer("sgd")
      .setLearningRate(0.5)
      .setMomentum(0.9)
      .setNesterov(true)
      .optimizerSpec
    assert(
      compact(render(spec)) === """{"name":"sgd","learningRate":0.5,"momentum":0.9,""" +
        """"dampening":0.0,"nesterov":true,"weightDecay":0.0}"""
    )
  }

  test("an option that the optimizer does not have is refused, unless it is only a default") {
    refused("the optimizer 'adam' has no option momentum; it has learningRate")(
      new NetworkClassifier().setMomentum(0.9).optimizerSpec
    )
    refused("nesterov needs a momentum above 0")(
      new NetworkClassifier().setOptimizer("sgd").setNesterov(true).optimizerSpec
    )
  }

  test("the learning rate that is not set is the optimizer's") {
    assert(new NetworkClassifier().setOptimizer("adadelta").getLearningRate === 1.0)
    assert(new NetworkClassifier().setLearningRate(0.2).getLearningRate === 0.2)
  }

  test("unknown names are refused with the names that are known") {
    refused(
      "unknown strategy 'adagg'; use one of auto, single, averaging, ensemble, downpour, adag"
    )(
      new NetworkClassifier().setStrategy("adagg")
    )
    refused("unknown optimizer 'adams'; use one of sgd, adam")(
      new NetworkClassifier().setOptimizer("adams")
    )
    refused("unknown loss 'logloss'; use one of cross_entropy")(
      new NetworkClassifier().setLoss("logloss")
    )
  }

  test("numbers out of their range are refused by name") {
    refused("batchSize must be at least 1, not 0")(new NetworkClassifier().setBatchSize(0))
    refused("epochs must be at least 1, not 0")(new NetworkClassifier().setEpochs(0))
    refused("window must be at least 1, not 0")(new NetworkClassifier().setWindow(0))
    refused("numWorkers must be at least 1, not -1")(new NetworkClassifier().setNumWorkers(-1))
    refused("learningRate must be a positive number, not NaN")(
      new NetworkClassifier().setLearningRate(Double.NaN)
    )
    refused("beta1 must be a number from 0 to below 1, not 1.0")(
      new NetworkClassifier().setBeta1(1)
    )
    refused("featuresScale must be a finite number")(new NetworkClassifier().setFeaturesScale(0))
    refused("featuresCols names the column 'a' twice")(
      new NetworkClassifier().setFeaturesCols(Array("a", "b", "a"))
    )
  }

  test("workers are the slots unless they are set, and one for the strategy single") {
    val adag = new NetworkClassifier().setStrategy("adag")
    assert(adag.workersOn(4) === 4)
    assert(adag.setNumWorkers(16).workersOn(4) === 16)
    assert(new NetworkClassifier().setStrategy("single").workersOn(4) === 1)
    refused("trains with one worker, but numWorkers is 2")(
      new NetworkClassifier().setStrategy("single").setNumWorkers(2).workersOn(4)
    )
  }

  test("the strategy single has no window") {
    refused("has no window")(
      new NetworkClassifier().setStrategy("single").setWindow(2).strategySpec(workers = 2)
    )
    assert(
      new NetworkClassifier()
        .setStrategy("adag")
        .setWindow(2)
        .strategySpec(workers = 2) === JObject(
        "name" -> JString("adag"),
        "window" -> JInt(2)
      )
    )
  }

  test("an option that the strategy does not have is refused with those that it has") {
    val classifier = new NetworkClassifier().setStrategy("aeasgd").setElasticMomentum(0.5)
    refused("the strategy 'aeasgd' has no elasticMomentum; it has window, elasticAlpha")(
      classifier.strategySpec(workers = 2)
    )
    refused("the strategy 'sync' has no window; it has compression, compressPull")(
      new NetworkClassifier().setStrategy("sync").setWindow(3).strategySpec(workers = 2)
    )
    refused("both give the moving rate")(
      new NetworkClassifier()
        .setStrategy("easgd")
        .setElasticAlpha(0.1)
        .setElasticRho(5)
        .strategySpec(workers = 2)
    )
    refused("unknown strategy 'adagg'; use one of auto, single, averaging")(
      new NetworkClassifier().setStrategy("adagg")
    )
  }

  test("a strategy's options reach its specification by their names there") {
    val eamsgd = new NetworkClassifier()
      .setStrategy("eamsgd")
      .setElasticRho(5)
      .setElasticMomentum(0.8)
      .setOverlap(false)
    assert(
      eamsgd.strategySpec(workers = 2) === JObject(
        "name" -> JString("eamsgd"),
        "rho" -> JDouble(5),
        "overlap" -> JBool(false),
        "momentum" -> JDouble(0.8)
      )
    )
    val agn = new NetworkClassifier().setStrategy("agn-adaptive").setAdaptiveGamma(1e-3)
    assert((agn.strategySpec(workers = 2) \ "gamma") === JDouble(1e-3))
    val plain = new NetworkClassifier().setStrategy("agn").setServerScale(1)
    assert(plain.strategySpec(workers = 2) === JObject("name" -> JString("adag")))
  }

  test("commits shrink with the workers and with those of them that train at the same time") {
    def scale(classifier: NetworkClassifier, workers: Int): Any =
      classifier.strategySpec(workers) \ "scale"
    val downpour = new NetworkClassifier().setStrategy("downpour")
    assert(scale(downpour, 1) === JNothing)
    assert(scale(downpour, 16) === JDouble(1.0 / 16))
    def adag: NetworkClassifier = new NetworkClassifier().setStrategy("adag")
    assert(scale(adag, 12) === JNothing)
    assert(scale(adag, 24) === JDouble(0.5))
    assert(scale(adag.setWindow(1), 16) === JDouble(1.0 / 16))
    assert(scale(adag.setWindow(1).setServerScale(1), 16) === JNothing)
    assert(scale(adag.setServerScale(0.5), 1) === JDouble(0.5))
    assert(scale(downpour.setServerOptimizer("adagrad"), 16) === JNothing)
    def turns(name: String): JValue = new NetworkClassifier().setStrategy(name).strategySpec(16, 4)
    assert((turns("downpour") \ "scale") === JDouble(1.0 / 8))
    assert((turns("adag") \ "scale") === JDouble(1.5))
    assert((turns("agn-adaptive") \ "scale") === JNothing, "it has a damping of its own")
    assert(scale(adag.setWindow(16), 1) === JDouble(4.0))
    Seq("aeasgd", "eamsgd").foreach { name =>
      assert((turns(name) \ "alpha") === JDouble(0.9 / 8), name)
      assert((new NetworkClassifier().setStrategy(name).strategySpec(16) \ "alpha") === JNothing)
      val rho = new NetworkClassifier().setStrategy(name).setElasticRho(0.1).strategySpec(16, 4)
      assert((rho \ "alpha") === JNothing)
    }
    assert((turns("easgd") \ "alpha") === JNothing)
    refused("the strategy 'dynsgd' has no serverScale")(
      new NetworkClassifier().setStrategy("dynsgd").setServerScale(0.5).strategySpec(2)
    )
  }

  test("the server's optimizer has PyTorch's defaults, and a learning rate of 1 for sgd") {
    val adagrad = new NetworkClassifier().setStrategy("downpour").setServerOptimizer("adagrad")
    val spec = adagrad.setServerLearningRate(0.05).strategySpec(workers = 2) \ "serverOptimizer"
    assert((spec \ "name") === JString("adagrad"))
    assert((spec \ "learningRate") === JDouble(0.05))
    assert((spec \ "epsilon") === JDouble(1e-10))
    val downpour = new NetworkClassifier().setStrategy("downpour")
    val sgd = downpour.copy(ParamMap.empty).setServerOptimizer("sgd").setServerMomentum(0.9)
    assert((sgd.strategySpec(workers = 2) \ "serverOptimizer" \ "learningRate") === JDouble(1))
    assert((sgd.strategySpec(workers = 2) \ "serverOptimizer" \ "momentum") === JDouble(0.9))
    refused("'adagrad' has no serverBeta1")(adagrad.setServerBeta1(0.5).strategySpec(workers = 2))
    refused("serverMomentum needs a serverOptimizer")(
      downpour.setServerMomentum(0.9).strategySpec(workers = 2)
    )
    refused("the strategy 'diloco' has no serverOptimizer")(
      new NetworkClassifier()
        .setStrategy("diloco")
        .setServerOptimizer("adam")
        .strategySpec(workers = 2)
    )
  }

  test("eamsgd takes the learning rate of sgd, 0.1 unless it is set") {
    val eamsgd = new NetworkClassifier().setStrategy("eamsgd")
    assert((eamsgd.fitOptimizerSpec \ "name") === JString("sgd"))
    assert((eamsgd.fitOptimizerSpec \ "learningRate") === JDouble(0.1))
    assert((eamsgd.setLearningRate(0.03).fitOptimizerSpec \ "learningRate") === JDouble(0.03))
    refused("'eamsgd' has its own step")(eamsgd.setOptimizer("adam").fitOptimizerSpec)
    refused("set elasticMomentum instead of momentum")(
      new NetworkClassifier().setStrategy("eamsgd").setMomentum(0.9).fitOptimizerSpec
    )
  }

  test("without any control nothing is steered") {
    val spec = new NetworkClassifier().controlSpec(3, Seq("accuracy"))
    assert((spec \ "schedule") === JObject("name" -> JString("constant")))
    assert((spec \ "warmup") === JNull)
    assert((spec \ "clipping") === JObject("value" -> JNull, "norm" -> JNull))
    assert((spec \ "classWeights") === JArray(Nil))
    assert((spec \ "labelSmoothing") === JDouble(0))
    assert((spec \ "metrics") === JArray(Nil), "no rows are held out")
    assert((spec \ "stopping" \ "patience") === JNull)
    assert((spec \ "stopping" \ "restoreBest") === JBool(false))
    assert(new NetworkClassifier().validationRows.isEmpty)
  }

  test("controls that are set reach their specification") {
    val classifier = new NetworkClassifier()
      .setSchedule("plateau")
      .setPlateauPatience(0)
      .setPlateauMonitor("auc")
      .setWarmupSteps(100)
      .setClipNorm(1)
      .setClassWeights(Array(1, 2))
      .setLabelSmoothing(0.1)
      .setValidationIndicatorCol("isVal")
      .setMonitor("accuracy")
      .setMonitorMode("max")
      .setPatience(3)
      .setRestoreBest(true)
      .setMaxSeconds(60)
    val spec = classifier.controlSpec(3, Seq("accuracy", "auc"))
    assert(
      compact(render(spec \ "schedule")) === """{"name":"plateau","factor":0.1,"patience":0,""" +
        """"threshold":1.0E-4,"thresholdMode":"relative","cooldown":0,"minimum":0.0,"monitor":"auc"}"""
    )
    assert((spec \ "warmup" \ "steps") === JInt(100))
    assert((spec \ "clipping" \ "norm") === JDouble(1))
    assert((spec \ "classWeights") === JArray(List(JDouble(1), JDouble(2))))
    assert((spec \ "metrics") === JArray(List(JString("accuracy"), JString("auc"))))
    assert((spec \ "stopping" \ "monitor") === JString("accuracy"))
    assert((spec \ "stopping" \ "mode") === JString("max"))
    assert((spec \ "stopping" \ "patience") === JInt(3))
    assert((spec \ "stopping" \ "maxSeconds") === JDouble(60))
    assert(classifier.validationRows.contains(ValidationRows.Marked("isVal")))
    val own = classifier.setMetrics(Array("top2")).controlSpec(3, Seq("accuracy"))
    assert((own \ "metrics") === JArray(List(JString("top2"))))
  }

  test("each schedule has its options and no other") {
    def schedule(classifier: NetworkClassifier): String =
      compact(render(classifier.scheduleSpec(7)))
    assert(
      schedule(new NetworkClassifier().setSchedule("step").setScheduleStep(2)) ===
        """{"name":"step","stepSize":2,"gamma":0.1}"""
    )
    assert(
      schedule(new NetworkClassifier().setSchedule("exponential").setScheduleGamma(0.5)) ===
        """{"name":"exponential","gamma":0.5}"""
    )
    assert(
      schedule(new NetworkClassifier().setSchedule("cosine")) ===
        """{"name":"cosine","epochs":7,"minimum":0.0,"interval":"epoch"}"""
    )
    assert(
      schedule(new NetworkClassifier().setSchedule("cosine").setScheduleInterval("step")) ===
        """{"name":"cosine","epochs":7,"minimum":0.0,"interval":"step"}"""
    )
    refused(
      "the schedule 'cosine' has no scheduleGamma; it has scheduleEpochs, scheduleMinimum, scheduleInterval"
    )(
      new NetworkClassifier().setSchedule("cosine").setScheduleGamma(0.5).scheduleSpec(7)
    )
    refused("the schedule 'constant' has no plateauPatience; it has no options")(
      new NetworkClassifier().setPlateauPatience(2).scheduleSpec(7)
    )
    refused("warmupStart is set without warmupSteps")(
      new NetworkClassifier().setWarmupStart(0.5).warmupSpec
    )
    refused("unknown schedule 'linear'")(new NetworkClassifier().setSchedule("linear"))
  }

  test("rows are held out by a column or by a share, not by both") {
    val share = new NetworkClassifier().setValidationFraction(0.2).setSeed(-1)
    assert(share.validationRows.contains(ValidationRows.Fraction(0.2, -1)))
    assert(
      share.validationRows
        .map(rows => compact(render(rows.json)))
        .contains(
          """{"type":"fraction","fraction":0.2,"seed":18446744073709551615}"""
        )
    )
    refused("are both set; set only one of them")(
      share.setValidationIndicatorCol("isVal").validationRows
    )
    refused("validationFraction must be a number between 0 and 1, not 1.0")(
      new NetworkClassifier().setValidationFraction(1)
    )
  }

  test("weight decay is an option of every optimizer, and eamsgd's own step has none") {
    val decayed = new NetworkClassifier().setWeightDecay(0.01)
    Seq("sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "adamax", "nadam").foreach {
      name =>
        val spec = decayed.copy(ParamMap.empty).setOptimizer(name).optimizerSpec
        assert((spec \ "weightDecay") === JDouble(0.01), name)
    }
    refused("'eamsgd' has its own step, which has no weight decay")(
      decayed.setStrategy("eamsgd").fitOptimizerSpec
    )
  }

  test("one features column and several are not both accepted") {
    refused("featuresCol and featuresCols are both set")(
      new NetworkClassifier().setFeaturesCol("x").setFeaturesCols(Array("a")).featureColumns
    )
  }
}
