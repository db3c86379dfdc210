package firesteel.regression

import scala.util.Random

import firesteel.bridge.{InvalidDataException, InvalidSpecException}
import firesteel.network._
import org.apache.spark.ml.Pipeline
import org.apache.spark.ml.attribute.{AttributeGroup, NumericAttribute}
import org.apache.spark.ml.evaluation.RegressionEvaluator
import org.apache.spark.ml.feature.VectorAssembler
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.ml.param.ParamsSuite
import org.apache.spark.ml.tuning.{CrossValidator, ParamGridBuilder}
import org.apache.spark.ml.util.{DefaultReadWriteTest, MLTest}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions._

final class NetworkRegressorSuite extends MLTest with DefaultReadWriteTest {
  import testImplicits._

  /** `sin(3 x) + y^2 - z` and a multiple of it, with a little noise. */
  private lazy val data: DataFrame = {
    val random = new Random(5)
    val rows = Seq.tabulate(400) { id =>
      def number: Double = 2 * random.nextDouble() - 1
      val (x, y, z) = (number, number, number)
      val value = math.sin(3 * x) + y * y - z + 0.02 * random.nextGaussian()
      (id.toLong, Vectors.dense(x, y, z), value, Vectors.dense(value, -2 * value + 1))
    }
    rows.toDF("id", "features", "label", "both").repartition(2).cache()
  }

  private def regressor(outputs: Int = 1): NetworkRegressor = new NetworkRegressor()
    .setNetwork(Network.sequential(Linear(32), Tanh, Linear(outputs)))
    .setOptimizer("adam")
    .setLearningRate(0.02)
    .setBatchSize(16)
    .setEpochs(20)
    .setWindow(2)
    .setNumWorkers(2)
    .setSeed(7)

  private lazy val fitted: NetworkRegressionModel = regressor().fit(data)
  private lazy val ofTwo: NetworkRegressionModel = regressor(2).setLabelCol("both").fit(data)

  private def r2(predicted: DataFrame): Double =
    new RegressionEvaluator().setMetricName("r2").evaluate(predicted)

  test("it learns a function that is not linear") {
    val r2 = this.r2(fitted.transform(data))
    assert(r2 > 0.95)
    assert(fitted.numFeatures === 3)
    assert(fitted.numOutputs === 1)
    assert(fitted.hasParent)
    assert(fitted.summary.rowsTrained === 20 * 400)
  }

  test("estimator and model have parameters as Spark wants them") {
    ParamsSuite.checkParams(new NetworkRegressor)
    ParamsSuite.checkParams(fitted)
    assert(fitted.copy(fitted.extractParamMap()).fitted eq fitted.fitted)
    val explained = regressor().explainParams()
    Seq("loss: the loss: mse_loss, l1_loss", "huberDelta: ").foreach { text =>
      assert(explained.contains(text))
    }
  }

  test("batch and streaming transforms give the number that one row gives") {
    testTransformer[(Vector, Double)](
      data.select("features", "label").as[(Vector, Double)].limit(50).toDF("features", "label"),
      fitted,
      "features",
      "prediction"
    ) { row =>
      assert(math.abs(fitted.predict(row.getAs[Vector](0)) - row.getDouble(1)) < 1e-5)
      ()
    }
  }

  test("a network of several values learns a vector or an array, and predicts a vector") {
    val asArray = data.withColumn("both", udf((v: Vector) => v.toArray).apply($"both"))
    Seq(ofTwo -> data, regressor(2).setLabelCol("both").fit(asArray) -> asArray).foreach {
      case (model, df) =>
        val predicted = model.transform(df)
        val rows = predicted.select("prediction", "label", "features").as[(Vector, Double, Vector)]
        val squares = rows.collect().map { case (prediction, label, features) =>
          assert(model.predictValues(features).size === 2)
          Seq(prediction(0) - label, (prediction(1) - 1) / -2 - label).map(math.pow(_, 2))
        }
        squares.toSeq.transpose.foreach(errors => assert(errors.sum / errors.size < 0.05))
        assert(AttributeGroup.fromStructField(predicted.schema("prediction")).size === 2)
    }
    val error = intercept[IllegalArgumentException](ofTwo.predict(Vectors.zeros(3)))
    assert(error.getMessage.contains("predictValues gives all of them"))
    assert(fitted.predictValues(Vectors.zeros(3))(0) === fitted.predict(Vectors.zeros(3)))
  }

  test("a saved model comes back as it was") {
    Seq(fitted, ofTwo).foreach { model =>
      val loaded = testDefaultReadWrite(model)
      assert(loaded.network === model.network)
      assert(loaded.weights === model.weights)
      assert(loaded.summary === model.summary)
      assert(loaded.transform(data).collect() === model.transform(data).collect())
    }
  }

  test("a saved estimator comes back as it was") {
    testDefaultReadWrite(regressor().setLoss("huber_loss").setHuberDelta(0.3).setWeightCol("w"))
  }

  test("every loss for numbers learns") {
    Seq("l1_loss", "smooth_l1_loss", "huber_loss").foreach { loss =>
      val model = regressor().setLoss(loss).setHuberDelta(0.5).fit(data)
      val r2 = this.r2(model.transform(data))
      assert(r2 > 0.9, loss)
    }
  }

  test("counts are learnt by their rate's logarithm, shares behind a sigmoid") {
    val counts = data.withColumn("label", floor(exp($"label")))
    val rates = regressor().setLoss("poisson_nll_loss").fit(counts).transform(counts)
    assert(r2(rates.withColumn("prediction", exp($"prediction"))) > 0.7)
    val shares = data.withColumn("label", lit(1) / (lit(1) + exp(-$"label")))
    val network = Network.sequential(Linear(32), Tanh, Linear(1), Sigmoid)
    val predicted = regressor()
      .setNetwork(network)
      .setLoss("binary_cross_entropy_with_logits")
      .fit(shares)
      .transform(shares)
    assert(r2(predicted) > 0.9)
    assert(predicted.where("prediction <= 0 or prediction >= 1").isEmpty)
  }

  test(
    "without shuffling, every epoch takes the rows of a partition in the order in which they lie"
  ) {
    val rows = Seq(3.0, 7.0, 1.0, 5.0)
    Seq(rows, rows.reverse).foreach { labels =>
      val ordered =
        labels.map(label => (Vectors.dense(1.0), label)).toDF("features", "label").coalesce(1)
      val model = new NetworkRegressor()
        .setNetwork(Network.sequential(Linear(1, bias = false)))
        .setStrategy("single")
        .setOptimizer("sgd")
        .setLearningRate(0.5)
        .setBatchSize(1)
        .setEpochs(2)
        .setShuffle(false)
        .fit(ordered)
      // A step of this size makes the weight the label of its row.
      assert(model.predict(Vectors.dense(1.0)) === labels.last)
    }
  }

  test("huber_loss with a delta of 1 is smooth_l1_loss, with another it is not") {
    def weights(loss: String, delta: Double): Seq[Byte] =
      regressor()
        .setEpochs(2)
        .setNumWorkers(1)
        .setLoss(loss)
        .setHuberDelta(delta)
        .fit(data)
        .weights
        .toSeq
    assert(weights("huber_loss", 1.0) === weights("smooth_l1_loss", 0.1))
    assert(weights("huber_loss", 0.1) !== weights("smooth_l1_loss", 0.1))
  }

  test("validation rows are measured by mse, mae and r2") {
    val summary = regressor().setValidationFraction(0.3).fit(data).summary
    val last = summary.epochs.last.validation.get
    assert(last.metrics.map(_.name) === Seq("mse", "mae", "r2"))
    assert(last.metrics.last.value.get > 0.9)
    assert(math.abs(last.metrics.head.value.get - last.loss.get) < 1e-6, "the loss is mse")
  }

  test("it works in a Pipeline and in a CrossValidator") {
    val spread = (0 until 3).foldLeft(data.drop("features", "both")) { (df, i) =>
      val value = udf((v: Vector) => v(i)).apply($"features")
      df.join(data.select($"id", value.as(s"x$i")), "id")
    }
    val assembler =
      new VectorAssembler().setInputCols(Array("x0", "x1", "x2")).setOutputCol("features")
    val own = regressor()
    val grid = new ParamGridBuilder().addGrid(own.learningRate, Array(1e-9, 0.02)).build()
    val model = new CrossValidator()
      .setEstimator(new Pipeline().setStages(Array(assembler, own)))
      .setEstimatorParamMaps(grid)
      .setEvaluator(new RegressionEvaluator().setMetricName("rmse"))
      .setNumFolds(2)
      .fit(spread.cache())
    assert(model.avgMetrics(1) < 0.6 && model.avgMetrics(1) < 0.7 * model.avgMetrics(0))
    val r2 = this.r2(model.transform(spread))
    assert(r2 > 0.8)
  }

  test("the schema is known without data, and is that of the transform") {
    Seq(fitted, ofTwo).foreach { model =>
      assert(model.transformSchema(data.schema) === model.transform(data).schema)
      val before = model.parent.transformSchema(data.schema)("prediction")
      assert(before.dataType === model.transform(data).schema("prediction").dataType)
    }
    val attribute = NumericAttribute.fromStructField(fitted.transform(data).schema("prediction"))
    assert(attribute.name.contains("prediction"))
    val unnamed = fitted.copy(fitted.extractParamMap()).setPredictionCol("")
    assert(unnamed.transform(data).columns === data.columns)
  }

  test("a label or a network that does not fit is refused with what is wrong") {
    def refused[E <: IllegalArgumentException: Manifest](texts: String*)(body: => Any): Unit = {
      val error = intercept[E](body)
      texts.foreach(text => assert(error.getMessage.contains(text), error.getMessage))
      ()
    }
    refused[IllegalArgumentException]("the column 'price' does not exist")(
      regressor().setLabelCol("price").fit(data)
    )
    refused[IllegalArgumentException]("'label' has type string", "a numeric type")(
      regressor().fit(data.withColumn("label", lit("x")))
    )
    refused[IllegalArgumentException]("'label' has type double", "of 2 values")(
      regressor(2).fit(data)
    )
    refused[IllegalArgumentException]("'both' has type vector", "a numeric type")(
      regressor().setLabelCol("both").fit(data)
    )
    refused[InvalidDataException]("both", "2", "3")(regressor(3).setLabelCol("both").fit(data))
    refused[IllegalArgumentException]("unknown loss 'hinge'")(regressor().setLoss("hinge"))
    refused[IllegalArgumentException]("huberDelta must be a positive number")(
      regressor().setHuberDelta(0)
    )
    val softmax = Network.sequential(Linear(2), Softmax)
    refused[InvalidSpecException]("leave the Softmax out")(
      regressor(2)
        .setNetwork(softmax)
        .setLabelCol("both")
        .setLoss("binary_cross_entropy_with_logits")
        .fit(data)
    )
    val two = Network(
      Seq("a"),
      Seq(Node.of("l", Linear(1), "a"), Node.of("r", Linear(1), "a")),
      Seq("l", "r")
    )
    refused[IllegalArgumentException]("2 outputs (l, r)", "a regressor needs one")(
      regressor().setNetwork(two).fit(data)
    )
  }
}
